# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport-operations(7) of its template and of the table of operations, from which the programs
# are made as well:
#
#	awk -f mdoc.awk -f sallyport-operations.7.awk operation_table.h sallyport-operations.7.in
#
# In the template, a line of @OPERATIONS stands for the table. A table that is empty is an error.

function fail(text) {
	print "sallyport-operations.7: " text > "/dev/stderr"
	failed = 1
	exit 1
}

function add(text, more) {
	return text == "" ? more : text ", " more
}

# X(ID, "name", "path", "method" or NULL, places, FAMILY, (members), "help")
function row(line,  n, middle, told) {
	n = quoted(line, q)
	if (n < 3)
		fail("a row that cannot be read: " line)
	help = q[n]
	# What stands between the path and the help: method, places, family, members.
	middle = line
	sub(/^[^"]*"[^"]*"[^"]*"[^"]*",/, "", middle)
	sub(/"[^"]*"\)[^"]*$/, "", middle)
	told = (n == 4 ? q[3] : "any method") " " q[2] (middle ~ /subtree/ ? " and below" : "")
	where = ""
	if (middle ~ /(^|[ \t|])API/)
		where = add(where, "API")
	if (middle ~ /DEPLOYMENT/)
		where = add(where, "deployment")
	if (middle ~ /AGENT/)
		where = add(where, "agent")
	if (middle ~ /PROJECT/)
		where = add(where, "project")
	if (middle ~ /[ \t|]MODELS/)
		where = add(where, "models")
	if (middle ~ /ANTHROPIC/)
		where = add(where, "anthropic")
	if (where == "")
		fail("a row that stands nowhere: " line)
	facts = ""
	if (middle !~ /[ \t]NONE,/)
		facts = add(facts, "read")
	if (middle ~ /\.streams = true/)
		facts = add(facts, "may stream")
	if (middle ~ /\.form = true/)
		facts = add(facts, "may be a form")
	if (middle ~ /\.counts_only = true/)
		facts = add(facts, "no use of tokens")
	if (middle ~ /\.stateless = true/)
		facts = add(facts, "harmless if done twice")
	return told
}

FILENAME ~ /\.h$/ && /^#define OPERATIONS\(X\)/ { inside = 1; next }

FILENAME ~ /\.h$/ && inside {
	if (pending == "" && $1 == "/*" && $0 !~ /\* end \*\//) {
		group = $0
		sub(/^[ \t]*\/\* /, "", group)
		sub(/ \*\/.*/, "", group)
	} else if (pending != "" || $0 ~ /^[ \t]*X\(/) {
		pending = pending $0
		sub(/[ \t]*\\$/, "", pending)
		if (pending !~ /"\)[ \t]*$/)
			next
		i = ++rows
		told[i] = row(pending)
		name[i] = q[1]
		text[i] = toupper(substr(help, 1, 1)) substr(help, 2)
		places[i] = where
		more[i] = facts
		heading[i] = group
		pending = group = ""
	}
	if ($0 !~ /\\$/)
		inside = 0
	next
}

FILENAME ~ /\.h$/ { next }

/^@OPERATIONS$/ {
	if (!rows)
		fail("the table has no rows")
	for (i = 1; i <= rows; i++) {
		if (heading[i] != "") {
			if (i > 1)
				print ".El"
			print ".Ss " toupper(substr(heading[i], 1, 1)) substr(heading[i], 2)
			print ".Bl -tag -width Ds -compact"
		}
		print ".It Ic " name[i] " Pq " places[i]
		print escape(told[i]) ": " escape(text[i]) (more[i] == "" ? "." : "; " more[i] ".")
	}
	print ".El"
	next
}

{ print }

END {
	if (!failed && !rows)
		fail("the table is missing")
}
