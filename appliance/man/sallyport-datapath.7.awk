# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport-datapath(7) of its template and of the tables in the headers, from which the
# programs are made as well:
#
#	awk -f mdoc.awk -f sallyport-datapath.7.awk abi.h maps.h counter.h sallyport-datapath.7.in
#
# In the template, @ABI is the number of the layout; lines of @OUTCOMES, @DROPS, @SOURCE_COUNTS,
# @FLOW_STATES, @COUNTERS and @GAUGES stand for a table, and "@MAP name" for the head of a map's item.
# A table that is empty, and a map that is not described or does not exist, is an error.

function fail(text) {
	print "sallyport-datapath.7: " text > "/dev/stderr"
	failed = 1
	exit 1
}

function table_print(name,  i) {
	if (!rows[name])
		fail("the table " name " has no rows")
	for (i = 1; i <= rows[name]; i++) {
		if ((name, i) in heading) {
			if (i > 1)
				print ".El"
			print ".Pp"
			print toupper(substr(heading[name, i], 1, 1)) substr(heading[name, i], 2) ":"
			print ".Pp"
		}
		if (i == 1 || (name, i) in heading)
			print ".Bl -tag -width Ds -compact"
		print ".It Ic " row[name, i]
		if ((name, i) in seconds)
			print escape(help[name, i]) "; " seconds[name, i] " seconds"
		else
			print escape(help[name, i])
	}
	print ".El"
	printed[name] = 1
}

FNR == 1 { table = group = "" }

# --- tables of the headers ---

FILENAME ~ /\.h$/ && /^#define SALLYPORT_ABI / { abi = $3 }

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
	} else if (pending != "" || $0 ~ /^[ \t]*X\(/) {
		# A long row goes on in the next line.
		pending = pending $0
		sub(/[ \t]*\\$/, "", pending)
		if (pending !~ /\)$/ && $0 ~ /\\$/)
			next
		if (quoted(pending, q) < 2)
			fail("a row of " table " without name and help: " pending)
		pending = ""
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
			sub(/.*\/\* \*/, ", at most datapath.", entries)
			sub(/ \*\/.*/, "", entries)
		} else {
			entries = " "
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
		sub(/ $/, "", entries)
		map[$2] = type ", " key " to " value entries
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

{
	gsub(/@ABI/, abi)
	print
}

END {
	if (failed)
		exit 1
	for (i = 1; i <= nmaps; i++)
		if (!(maps[i] in described))
			fail("the map " maps[i] " is not described")
	if (!nmaps || !abi)
		fail("there are no maps, or no SALLYPORT_ABI")
	for (name in rows)
		if (!(name in printed))
			fail("the table " name " is nowhere")
}
