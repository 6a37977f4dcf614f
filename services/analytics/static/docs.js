"use strict";
// No validator: it would send the schema's address to a server elsewhere.
SwaggerUIBundle({ url: "/docs/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null });
