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
