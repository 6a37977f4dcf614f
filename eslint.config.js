import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["services/proxy/widget/**/*.js"],
    languageOptions: { globals: { ...globals.browser, WIDGET_VERSION: "readonly", WIDGET_HASHES: "readonly" } },
  },
  { files: ["services/analytics/static/page/*.js"], languageOptions: { globals: globals.browser } },
  { files: ["services/operator/static/console/**/*.js"], languageOptions: { globals: globals.browser } },
  { ignores: ["services/operator/static/console/vendor/*.js", "services/operator/static/docs/*.js", "services/analytics/static/vendor/*.js", "services/analytics/static/docs.js"] },
  { files: ["services/proxy/widget/build.js", "services/operator/static/vendor.js", "services/analytics/static/vendor.js", "tests/widget/*.js", "tests/console/*.js", "tests/dashboard/*.js"], languageOptions: { globals: globals.node } },
  {
    rules: {
      eqeqeq: "error",
      "no-control-regex": "off", // what people must not send is named
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
