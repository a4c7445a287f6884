# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport-events(7) of its template and of the tables in the headers, from which the programs
# are made as well:
#
#	awk -f mdoc.awk -f sallyport-events.7.awk schema.h schema_azure.h sallyport-events.7.in
#
# In the template, lines of @SCHEMA_FIELDS and @SCHEMA_AZURE stand for a table. A table that is empty is an
# error, and a row of the second whose member the first does not have.

function fail(text) {
	print "sallyport-events.7: " text > "/dev/stderr"
	failed = 1
	exit 1
}

function trim(text) {
	gsub(/^[ \t,\\]+|[ \t,\\]+$/, "", text)
	return text
}

# The text of a comment in the line, which may go on.
function comment(line) {
	if (line !~ /\/\*/)
		return ""
	sub(/.*\/\*[ \t]*/, "", line)
	return trim(line)
}

function take_comment(text) {
	open = text !~ /\*\//
	sub(/[ \t]*\*\/.*/, "", text)
	return trim(text)
}

FNR == 1 { table = "" }

FILENAME ~ /\.h$/ && /^#define SCHEMA_[A-Z]+\(X\)/ {
	table = $2
	sub(/\(X\).*/, "", table)
	next
}

FILENAME ~ /\.h$/ && table != "" {
	line = $0
	if (open) {
		text = line
		sub(/^[ \t]*\* ?/, "", text)
		held = held " " take_comment(text)
		if (!open)
			heading[table, rows[table] + 1] = held
	} else if (line ~ /^[ \t]*X\(/) {
		i = ++rows[table]
		row = line
		gsub(/["(),]/, " ", row)
		if (split(row, part, " ") < 4)
			fail("a row that cannot be read: " line)
		kind[table, i] = trim(part[2])
		if (table == "SCHEMA_FIELDS") {
			member[part[3]] = part[4]
			name[table, i] = part[4]
		} else {
			name[table, i] = part[3]
			field[i] = part[4]
		}
		help[table, i] = line ~ /\/\*/ ? take_comment(comment(line)) : ""
		if (open)
			fail("a comment of a row goes on: " line)
	} else if (line ~ /\/\*/ && line !~ /\/\* end \*\//) {
		held = take_comment(comment(line))
		if (!open)
			heading[table, rows[table] + 1] = held
	}
	if ($0 !~ /\\$/)
		table = ""
	next
}

FILENAME ~ /\.h$/ { next }

$0 == "@SCHEMA_FIELDS" {
	if (!rows["SCHEMA_FIELDS"])
		fail("the table of fields is missing")
	print ".Bl -tag -width Ds -compact"
	for (i = 1; i <= rows["SCHEMA_FIELDS"]; i++) {
		if (heading["SCHEMA_FIELDS", i] != "") {
			print ".El"
			print ".Pp"
			print escape(heading["SCHEMA_FIELDS", i])
			print ".Pp"
			print ".Bl -tag -width Ds -compact"
		}
		print ".It Ic " name["SCHEMA_FIELDS", i] " Pq " tolower(kind["SCHEMA_FIELDS", i])
		if (help["SCHEMA_FIELDS", i] != "")
			print escape(help["SCHEMA_FIELDS", i])
	}
	print ".El"
	next
}

$0 == "@SCHEMA_AZURE" {
	if (!rows["SCHEMA_AZURE"])
		fail("the table of columns is missing")
	print ".Bl -column -compact ApimSubscriptionId gen_ai.usage.output_tokens"
	for (i = 1; i <= rows["SCHEMA_AZURE"]; i++) {
		if (!(field[i] in member))
			fail("no field has the member " field[i])
		form = kind["SCHEMA_AZURE", i]
		print ".It " name["SCHEMA_AZURE", i] " Ta " member[field[i]] \
			(form == "MS" ? ", in milliseconds" : form == "SUCCESS" ? " is success" : "")
	}
	print ".El"
	next
}

{ print }
