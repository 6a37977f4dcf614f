import js from "@eslint/js";
import globals from "globals";

export default [
  js.configs.recommended,
  {
    files: ["services/proxy/widget/**/*.js"],
    languageOptions: { globals: { ...globals.browser, WIDGET_VERSION: "readonly", WIDGET_HASHES: "readonly" } },
  },
  { files: ["services/proxy/widget/build.js", "tests/widget/*.js"], languageOptions: { globals: globals.node } },
  {
    rules: {
      eqeqeq: "error",
      "no-control-regex": "off", // what people must not send is named
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
