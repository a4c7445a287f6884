// SPDX-License-Identifier: GPL-2.0-or-later

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What an application does with java.net.http; prints what it got as JSON: java Chat.java URL PROMPT */
public class Chat {
	static final HttpClient client = HttpClient.newHttpClient();
	static final Pattern content = Pattern.compile("\"content\":\"((?:[^\"\\\\]|\\\\.)*)\"");

	static HttpRequest request(String url, String prompt, boolean stream) {
		String body = "{\"model\":\"gpt-4o\",\"stream\":" + stream
			+ ",\"messages\":[{\"role\":\"user\",\"content\":\"" + prompt + "\"}]}";
		return HttpRequest.newBuilder(URI.create(url))
			.header("Content-Type", "application/json")
			.header("Authorization", "Bearer sk-java")
			.POST(HttpRequest.BodyPublishers.ofString(body)).build();
	}

	static String contents(String text) {
		return content.matcher(text).results().map(m -> m.group(1)).collect(Collectors.joining());
	}

	public static void main(String[] arguments) throws Exception {
		String url = arguments[0], prompt = arguments[1];
		String chat = client.send(request(url, prompt + " chat", false), BodyHandlers.ofString()).body();
		String stream = client.send(request(url, prompt + " stream", true), BodyHandlers.ofLines()).body()
			.filter(line -> line.startsWith("data: {")).map(Chat::contents)
			.collect(Collectors.joining());
		System.out.println("{\"chat\":\"" + contents(chat) + "\",\"stream\":\"" + stream + "\"}");
	}
}
