// SPDX-License-Identifier: GPL-2.0-or-later

// What an application does with net/http as it is; prints what it got as JSON.
//
//	chat URL PROMPT
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func post(url, prompt string, stream bool) io.ReadCloser {
	body, _ := json.Marshal(map[string]any{
		"model": "gpt-4o", "stream": stream,
		"messages": []any{map[string]any{"role": "user", "content": prompt}},
	})
	request, _ := http.NewRequest("POST", url, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer sk-go")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return response.Body
}

func main() {
	url, prompt := os.Args[1], os.Args[2]
	var answer struct{ Choices []struct{ Message, Delta struct{ Content string } } }
	whole := post(url, prompt+" chat", false)
	json.NewDecoder(whole).Decode(&answer)
	whole.Close()
	chat := answer.Choices[0].Message.Content

	var stream strings.Builder
	pieces := post(url, prompt+" stream", true)
	defer pieces.Close()
	for lines := bufio.NewScanner(pieces); lines.Scan(); {
		data := strings.TrimPrefix(lines.Text(), "data: ")
		if !strings.HasPrefix(data, "{") {
			continue
		}
		answer.Choices = nil
		json.Unmarshal([]byte(data), &answer)
		for _, choice := range answer.Choices {
			stream.WriteString(choice.Delta.Content)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]string{"chat": chat, "stream": stream.String()})
}
