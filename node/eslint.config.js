import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "component", "eslint.config.js"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers in messages are meant to be read.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true, allowNullish: true }],
      // What a loader throws is passed on as it is.
      "@typescript-eslint/only-throw-error": "off",
      "@typescript-eslint/prefer-promise-reject-errors": "off",
      // Formats count code points, as Python does.
      "@typescript-eslint/no-misused-spread": "off",
      // `void` says that nobody waits.
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/no-meaningless-void-operator": "off",
      // A type parameter that appears once names what the caller knows.
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      // Values of users' loaders are checked where they come from, whatever the types say.
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/require-await": "off",
    },
  },
);
