// Swagger UI over this service's own description. Nothing is asked of another host: the badge of
// the online validator is off, and there is no server to choose but this one.
const here = new URL(".", document.baseURI);

// By the name that Swagger UI's own page gives it, for who looks at it in a console.
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
