// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/credential_report.h"

#include <inttypes.h>
#include <limits.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/traffic.h"
#include "config/config.h"

#define REPORT_MAX (16u << 20)

yyjson_doc *credential_report_read(const char *run_directory)
{
	struct buf text = BUF_EMPTY;
	char path[PATH_MAX];
	yyjson_doc *doc = NULL;

	if (snprintf(path, sizeof(path), "%s/" CREDENTIAL_REPORT_FILE, run_directory) <
			(int)sizeof(path) &&
		file_read(path, REPORT_MAX, &text, NULL) == 0)
		doc = yyjson_read(buf_slice(&text).data, buf_len(&text), YYJSON_READ_NOFLAG);
	buf_free(&text);
	return doc;
}

static const char *text_of(yyjson_val *o, const char *key)
{
	const char *text = yyjson_get_str(yyjson_obj_get(o, key));

	return text ? text : "";
}

static void text_row(yyjson_val *o, uint64_t now_ns, FILE *out)
{
	uint64_t got = yyjson_get_uint(yyjson_obj_get(o, "got_ns")),
		 expires = yyjson_get_uint(yyjson_obj_get(o, "expires_ns")),
		 next = yyjson_get_uint(yyjson_obj_get(o, "next_ns"));
	const char *error = text_of(o, "error");

	fprintf(out, "  %-24s %s, from %s", log_quote(slice_of_string(text_of(o, "name"))).text,
		text_of(o, "state"), text_of(o, "from"));
	if (got)
		fprintf(out, ", %s old", age_format(now_ns > got ? now_ns - got : 0).text);
	if (expires > now_ns)
		fprintf(out, ", expires in %s", age_format(expires - now_ns).text);
	else if (expires)
		fprintf(out, ", expired %s ago", age_format(now_ns - expires).text);
	if (next)
		fprintf(out, ", next attempt in %s",
			age_format(next > now_ns ? next - now_ns : 0).text);
	if (*error)
		fprintf(out, "\n  %-24s the last attempt failed: %s", "",
			log_quote(slice_of_string(error)).text);
	fputc('\n', out);
}

void credential_report_text(yyjson_doc *report, uint64_t now_ns, FILE *out)
{
	yyjson_val *list = yyjson_doc_get_root(report), *o;
	yyjson_arr_iter at;

	if (!yyjson_arr_size(list))
		return;
	fprintf(out, "\nCredentials: %zu\n", yyjson_arr_size(list));
	yyjson_arr_iter_init(list, &at);
	while ((o = yyjson_arr_iter_next(&at)))
		text_row(o, now_ns, out);
}

void credential_report_json(yyjson_doc *report, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
	yyjson_mut_val *list =
		report ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(report)) : NULL;

	yyjson_mut_obj_add_val(doc, root, "credentials", list ? list : yyjson_mut_arr(doc));
}
