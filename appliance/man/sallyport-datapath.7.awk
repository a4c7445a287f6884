# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport-datapath(7) of its template and of the tables in the headers, from which the
# programs are made as well:
#
#	awk -f sallyport-datapath.7.awk abi.h maps.h counter.h sallyport-datapath.7.in
#
# In the template, @OUTCOMES, @DROPS, @SOURCE_COUNTS, @FLOW_STATES and @COUNTERS stand for a table,
# and "@MAP name" for the head of a map's item. A table that is empty, and a map that is not
# described or does not exist, is an error.

function escape(text) {
	gsub(/\\/, "\\e", text)
	gsub(/"/, "\\(dq", text)
	if (text ~ /^[.']/)
		text = "\\&" text
	return text
}

function fail(text) {
	print "sallyport-datapath.7: " text > "/dev/stderr"
	failed = 1
	exit 1
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

function table_print(name,  i) {
	if (!rows[name])
		fail("the table " name " has no rows")
	print ".Bl -tag -width Ds -compact"
	for (i = 1; i <= rows[name]; i++) {
		if ((name, i) in heading) {
			print ".El"
			print ".Pp"
			print escape(heading[name, i]) ":"
			print ".Pp"
			print ".Bl -tag -width Ds -compact"
		}
		print ".It Ic " row[name, i]
		print escape(help[name, i])
		if ((name, i) in seconds)
			print "Forgotten after " seconds[name, i] " seconds without a packet."
	}
	print ".El"
	printed[name] = 1
}

FNR == 1 { file++; table = "" }

# --- tables of the headers ---

FILENAME ~ /\.h$/ && /^#define [A-Z_]+\(X\)/ {
	table = $2
	sub(/\(X\).*/, "", table)
	next
}

FILENAME ~ /\.h$/ && table != "" {
	if ($1 == "/*" && $0 !~ /\* end \*\//) {
		group = $0
		sub(/^[ \t]*\/\* /, "", group)
		sub(/ \*\/.*/, "", group)
	} else if ($0 ~ /^[ \t]*X\(/) {
		n = quoted($0, q)
		if (n < 2)
			fail("a row of " table " without name and help: " $0)
		i = ++rows[table]
		row[table, i] = q[1]
		help[table, i] = q[2]
		if (between ~ /[0-9]/) {
			gsub(/[^0-9]/, "", between)
			seconds[table, i] = between
		}
		if (group != "")
			heading[table, i] = group
		group = ""
	}
	if ($0 !~ /\\$/)
		table = ""
	next
}

# --- maps.h ---

FILENAME ~ /maps\.h$/ {
	if ($0 ~ /^struct \{/)
		type = entries = key = value = inner = ""
	if ($0 ~ /__uint\(type, /) {
		word = $0
		sub(/.*BPF_MAP_TYPE_/, "", word)
		sub(/\).*/, "", word)
		if (type == "")
			type = word
		else
			inner = word
	}
	if ($0 ~ /__uint\(max_entries, / && entries == "") {
		entries = $0
		if (entries ~ /\/\* \*/) {
			sub(/.*\/\* \*/, "datapath.", entries)
			sub(/ .*/, "", entries)
		} else {
			sub(/.*max_entries, /, "", entries)
			sub(/\);.*/, "", entries)
		}
	}
	if ($0 ~ /__type\((key|value), /) {
		word = $0
		sub(/.*(key|value), /, "", word)
		sub(/\);.*/, "", word)
		sub(/^struct /, "", word)
		if ($0 ~ /key/ && key == "")
			key = word
		else if ($0 ~ /value/ && inner == "")
			value = word
		else if ($0 ~ /value/)
			value = inner " of " innerkey " to " word
		else
			innerkey = word
	}
	if ($0 ~ /^} [a-z_]+ SEC\("\.maps"\);/) {
		map[$2] = type ", " key " to " value ", " entries
		maps[++nmaps] = $2
	}
	next
}

FILENAME ~ /\.h$/ { next }

# --- the template ---

/^@MAP / {
	if (!($2 in map))
		fail("there is no map " $2)
	described[$2] = 1
	print ".It Ic " $2 " Pq " escape(map[$2])
	next
}

/^@[A-Z_]+$/ {
	table_print(substr($0, 2))
	next
}

{ print }

END {
	if (failed)
		exit 1
	for (i = 1; i <= nmaps; i++)
		if (!(maps[i] in described))
			fail("the map " maps[i] " is not described")
	if (!nmaps)
		fail("there are no maps")
	for (name in rows)
		if (!(name in printed))
			fail("the table " name " is nowhere")
}
