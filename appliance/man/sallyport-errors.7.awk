# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport-errors(7) of its template and of the tables in the headers, from which the programs
# are made as well:
#
#	awk -f mdoc.awk -f sallyport-errors.7.awk ending.h h1_error.h h2_error.h websocket.h \
#		sallyport-errors.7.in
#
# In the template, lines of @ENDINGS, @H1_ERRORS and the like stand for a table. A table that is empty is an error.

function fail(text) {
	print "sallyport-errors.7: " text > "/dev/stderr"
	failed = 1
	exit 1
}

function trim(text) {
	gsub(/^[ \t,]+|[ \t,]+$/, "", text)
	return text
}

# X(ID, "name", SIDE, status, deny, final, counter, "message" …)
function ending_row(line,  n, i, facts) {
	n = quoted(line, q)
	split(between, facts, ",")
	if (n < 2 || trim(facts[6]) == "")
		fail("a row that cannot be read: " line)
	text = ""
	for (i = 2; i <= n; i++)
		text = text q[i]
	status = trim(facts[3])
	told = status == "0" ? "no answer" : "status " status
	if (trim(facts[5]) == "true" && status != "0")
		told = told ", not to be tried again"
	if (trim(facts[4]) == "true")
		told = told ", verdict deny"
	return told
}

# X(ID, status, "name", "text")
function wire_row(line,  n, i, facts) {
	n = quoted(line, q)
	if (n < 2 || split(line, facts, ",") < 4)
		fail("a row that cannot be read: " line)
	text = ""
	for (i = 2; i <= n; i++)
		text = text q[i]
	return "status " trim(facts[2])
}

FNR == 1 { table = group = pending = "" }

FILENAME ~ /\.h$/ && /^#define [A-Z0-9_]+\(X\)/ {
	table = $2
	sub(/\(X\).*/, "", table)
	next
}

FILENAME ~ /\.h$/ && table != "" {
	if (pending == "" && $1 == "/*" && $0 !~ /\* end \*\//) {
		group = $0
		sub(/^[ \t]*\/\* /, "", group)
		sub(/ \*\/.*/, "", group)
	} else if (pending != "" || $0 ~ /^[ \t]*X\(/) {
		pending = pending $0
		sub(/[ \t]*\\$/, "", pending)
		if (pending !~ /"\)[ \t]*$/ && $0 ~ /\\$/)
			next
		i = ++rows[table]
		facts[table, i] = table == "ENDINGS" ? ending_row(pending) : wire_row(pending)
		name[table, i] = q[1]
		help[table, i] = text
		heading[table, i] = group
		pending = group = ""
	}
	if ($0 !~ /\\$/)
		table = ""
	next
}

FILENAME ~ /\.h$/ { next }

/^@[A-Z0-9_]+$/ {
	table = substr($0, 2)
	if (!rows[table])
		fail("the table " table " has no rows")
	for (i = 1; i <= rows[table]; i++) {
		if (heading[table, i] != "") {
			if (i > 1)
				print ".El"
			print ".Pp"
			print toupper(substr(heading[table, i], 1, 1)) substr(heading[table, i], 2) ":"
			print ".Pp"
		}
		if (i == 1 || heading[table, i] != "")
			print ".Bl -tag -width Ds -compact"
		print ".It Ic " name[table, i] " Pq " facts[table, i]
		print escape(help[table, i])
	}
	print ".El"
	table = ""
	next
}

{ print }

END {
	if (!failed && (!rows["ENDINGS"] || !rows["H1_ERRORS"] || !rows["H2_ERRORS"] ||
			!rows["WEBSOCKET_ERRORS"]))
		fail("a table is missing")
}
