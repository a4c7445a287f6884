/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Columns of Azure's logs of a gateway (ApiManagementGatewayLogs, ApiManagementGatewayLlmLog) and the
 * fields of an event that tell the same: what sallyport export --format azure writes, and the table of
 * sallyport-events(7) are made from it. */
#ifndef AUDIT_SCHEMA_AZURE_H
#define AUDIT_SCHEMA_AZURE_H

/* X(FORM, "Column", member of the event). Forms: AS_IS; MS (ns as milliseconds); SUCCESS (whether the
 * text is success). */
#define SCHEMA_AZURE(X)                                                     \
	X(AS_IS, "CorrelationId", id)                                       \
	X(AS_IS, "CallerIpAddress", client_address)                         \
	X(AS_IS, "ApiId", provider)                                         \
	X(AS_IS, "OperationId", operation)                                  \
	X(AS_IS, "Method", method)                                          \
	X(AS_IS, "Url", path)                                               \
	X(AS_IS, "ApiVersion", azure_api_version)                           \
	X(AS_IS, "ResponseCode", status)                                    \
	X(SUCCESS, "IsRequestSuccess", outcome)                             \
	X(AS_IS, "LastErrorReason", error_type)                             \
	X(AS_IS, "LastErrorMessage", error_message)                         \
	X(MS, "TotalTime", timing_total)                                    \
	X(AS_IS, "ClientTlsVersion", tls_client_version)                    \
	X(AS_IS, "BackendId", backend_name)                                 \
	X(AS_IS, "BackendUrl", server_address)                              \
	X(AS_IS, "Region", backend_region)                                  \
	X(AS_IS, "ApimSubscriptionId", subject_key)                         \
	X(AS_IS, "UserId", subject_name)                                    \
	X(AS_IS, "ProductId", subject_groups)                               \
	X(AS_IS, "RequestSize", bytes_request)                              \
	X(AS_IS, "ResponseSize", bytes_response)                            \
	X(AS_IS, "DeploymentName", azure_deployment)                        \
	X(AS_IS, "ModelName", response_model)                               \
	X(AS_IS, "PromptTokens", input_tokens)                              \
	X(AS_IS, "CompletionTokens", output_tokens)                         \
	X(AS_IS, "TotalTokens", total_tokens)                               \
	X(AS_IS, "IsStreamCompletion", request_stream)                      \
	X(AS_IS, "RequestId", response_id)                                  \
	X(AS_IS, "RequestMessages", input_messages)                         \
	X(AS_IS, "ResponseMessages", output_messages)                       \
	/* end */

#endif
