// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/export_azure.h"

#include <errno.h>
#include <yyjson.h>

#include "audit/schema.h"
#include "audit/schema_azure.h"
#include "cli/json_print.h"
#include "cli/review.h"
#include "collector/event_json.h"

enum azure_form { AZURE_AS_IS, AZURE_MS, AZURE_SUCCESS };

static const struct {
	enum azure_form form;
	const char *column;
	enum schema_id field;
} azure_columns[] = {
#define AZURE_COLUMN(FORM, column, member) {AZURE_##FORM, column, SCHEMA_ID_##member},
	SCHEMA_AZURE(AZURE_COLUMN)
#undef AZURE_COLUMN
};

static yyjson_mut_val *azure_value(
	yyjson_mut_doc *doc, enum azure_form form, yyjson_mut_val *value)
{
	if (form == AZURE_MS)
		return yyjson_mut_real(doc, (double)yyjson_mut_get_uint(value) / 1e6);
	if (form == AZURE_SUCCESS)
		return yyjson_mut_bool(doc, yyjson_mut_equals_str(value, "success"));
	return yyjson_mut_val_mut_copy(doc, value);
}

int export_azure(FILE *out, const struct query_event *event)
{
	yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
	yyjson_mut_val *root = yyjson_mut_obj(doc), *record = event_json(doc, event, EVENT_JSON_ALL);
	bool made = root && record &&
		    yyjson_mut_obj_add_strcpy(doc, root, "TimeGenerated",
			    review_time_format(event->time_ns).text);

	for (size_t i = 0; i < sizeof(azure_columns) / sizeof(azure_columns[0]) && made; i++) {
		struct slice name = schema_fields[azure_columns[i].field].name;
		yyjson_mut_val *value = yyjson_mut_obj_getn(record, name.data, name.len);

		if (value)
			made = yyjson_mut_obj_add_val(doc, root, azure_columns[i].column,
				azure_value(doc, azure_columns[i].form, value));
	}
	/* json_print takes the document, and refuses one without a root. */
	if (made)
		yyjson_mut_doc_set_root(doc, root);
	return json_print(doc, 0, out) == 0 ? 0 : -EBADMSG;
}
