import tseslint from 'typescript-eslint';

// Biome formats and lints; ESLint holds only the rules that need types: promises and exhaustive switches.
export default tseslint.config(
  { ignores: ['**/dist/**', '**/*.config.ts', '**/*.mjs', '**/*.js'] },
  {
    files: ['packages/*/src/**/*.ts', 'plugins/*/src/**/*.ts'],
    languageOptions: { parser: tseslint.parser, parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    },
  },
);
