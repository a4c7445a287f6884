# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts that make man pages have in common: awk -f mdoc.awk -f SCRIPT …

# Text as it is, in the language of man pages, mdoc(7).
function escape(text) {
	gsub(/\\/, "\\e", text)
	gsub(/"/, "\\(dq", text)
	if (text ~ /^[.']/)
		text = "\\&" text
	return text
}

# The quoted strings of a row, in q[1] …; what stands between the first two in between.
function quoted(line, q,  n, at, end) {
	n = 0
	between = ""
	while ((at = index(line, "\"")) > 0) {
		if (n == 1)
			between = substr(line, 1, at - 1)
		line = substr(line, at + 1)
		end = index(line, "\"")
		q[++n] = substr(line, 1, end - 1)
		line = substr(line, end + 1)
	}
	return n
}
