// Swagger UI for openapi.json. No other host is contacted: the online validator's badge is off, and
// this is the only server.
const here = new URL(".", document.baseURI);

// The name that Swagger UI's own page uses, for the browser's console.
window.ui = SwaggerUIBundle({
  url: new URL("openapi.json", here).href,
  dom_id: "#swagger-ui",
  validatorUrl: null,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
