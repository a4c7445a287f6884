# SPDX-License-Identifier: GPL-2.0-or-later
#
# Makes sallyport.yaml(5) of appliance/sallyport.yaml, which explains every key: comments become
# text, keys become items with their defaults:
#
#	awk -f mdoc.awk -f sallyport.yaml.5.awk sallyport.yaml

# Prints a line as words of mdoc text; quotes and tabs are as they are.
function say(text) {
	print escape(text)
	fresh = 0
}

# A section begins a paragraph by itself.
function paragraph() {
	if (!fresh)
		print ".Pp"
}

function close_list() {
	flush()
	if (in_list)
		print ".El"
	in_list = 0
	if (in_example)
		print ".Ed"
	in_example = 0
}

# Items stand before their text, and in the file it is the other way round.
function flush(  i) {
	for (i = 1; i <= nkeys; i++)
		print ".It Ic " escape(keys[i])
	if (nkeys || ntext) {
		for (i = 1; i <= ntext; i++)
			say(text[i])
	}
	nkeys = ntext = 0
}

BEGIN {
	print ".\\\" SPDX-License-Identifier: GPL-2.0-or-later"
	print ".\\\" Made from appliance/sallyport.yaml."
	print ".Dd November 24, 2026"
	print ".Dt SALLYPORT.YAML 5"
	print ".Os"
	print ".Sh NAME"
	print ".Nm sallyport.yaml"
	print ".Nd configuration of the sallyport AI gateway"
	print ".Sh DESCRIPTION"
	fresh = 1
}

/SPDX/ || /^#$/ && !started { if (!/SPDX/) paragraph(); next }

# "# --- Title ------"
/^# --- / {
	close_list()
	title = $0
	sub(/^# --- /, "", title)
	sub(/ -+$/, "", title)
	if (!started)
		print ".Sh KEYS"
	started = 1
	print ".Ss " escape(title)
	fresh = 1
	next
}

# Text of the file as a whole or of a section.
/^#/ {
	line = $0
	sub(/^# ?/, "", line)
	if (line == "") {
		paragraph()
		next
	}
	if (line ~ /^[a-z]+:$/) {
		section = line
		start_list = 1
		next
	}
	if (line ~ /^\t/) {
		sub(/^\t/, "", line)
		sub(/\t+/, "   ", line)
		print ".Dl " escape(line)
	} else {
		say(line)
	}
	next
}

/^[a-z]+:/ {
	section = $0
	start_list = 1
	next
}

/^$/ { flush(); next }

# A list of mappings whose keys are explained above it.
section == "hosts:" {
	if (!in_example) {
		print ".Bd -literal -offset indent"
		print section
		in_example = 1
	}
	say($0)
	next
}

{
	if (start_list) {
		paragraph()
		print ".Ic " section
		print ".Bl -tag -width Ds -offset indent"
		in_list = 1
		start_list = 0
	}
	line = $0
	commented = sub(/^  # +/, "", line) || sub(/^  #$/, "", line)
	if (section == "backends:" || section == "credentials:") {
		commented = sub(/^# /, "", line)
		sub(/^- /, "", line)
		if (commented) {
			if (nkeys)
				flush()
			text[++ntext] = line
		} else {
			keys[++nkeys] = line
		}
		next
	}
	if (commented && line !~ /^[a-z_]+: /) {
		if (nkeys)
			flush()
		text[++ntext] = line
		next
	}
	sub(/^ +/, "", line)
	keys[++nkeys] = line (commented ? "   (example; no default)" : "")
}

END {
	close_list()
	print ".Sh FILES"
	print ".Bl -tag -width Ds"
	print ".It Pa /etc/sallyport/sallyport.yaml"
	print "The configuration."
	print ".El"
	print ".Sh SEE ALSO"
	print ".Xr sallyport 1 ,"
	print ".Xr sallyport-datapath 7 ,"
	print ".Xr sallyport-errors 7 ,"
	print ".Xr sallyport-collector 8 ,"
	print ".Xr sallyportd 8"
}
