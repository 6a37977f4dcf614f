// A file of its own, since the page's policy allows no script inside it.
SwaggerUIBundle({
  url: '/schema/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  validatorUrl: null,
});
