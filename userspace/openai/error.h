/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors of the appliance in the form that clients of the API already parse. */
#ifndef OPENAI_ERROR_H
#define OPENAI_ERROR_H

#include "base/buf.h"
#include "openai/operation.h"

/* Appends the JSON body of an error answer: Azure's {"error":{"code","message"}}, elsewhere
 * OpenAI's {"error":{"message","type","param","code"}} with the type that belongs to the status, or
 * Anthropic's {"type":"error","error":{"type","message"}}, which has no code.
 * code NULL: the status as text on Azure, else null. Texts are UTF-8 and may hold anything: they
 * are escaped. 0, or -ENOMEM with json unchanged. */
int error_body(
	enum dialect dialect, int status, const char *code, const char *message, struct buf *json);

#endif
