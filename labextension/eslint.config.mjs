/**
 * Lint rules. The layers of src/ point one way: tokens ← api ← model ← components ← plugins ← index.
 */
import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const LAYERS = ['tokens', 'api', 'model', 'components', 'plugins'];

/** Nothing of a layer imports a layer above it. */
const arrows = LAYERS.map((layer, index) => ({
  files: [`src/${layer}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...LAYERS.slice(index + 1).map(above => ({
            group: [`../${above}`, `../${above}/*`],
            message: `${layer} lies below ${above} and must not know it.`
          })),
          { regex: '^\\.\\.(/index)?$', message: 'index.ts only lists the plugins.' },
          ...(layer === 'tokens' || layer === 'components'
            ? [{ group: ['@jupyterlab/*'], message: `${layer} needs nothing of JupyterLab.` }]
            : []),
          // Components may be taken to any page that has React: what needs JupyterLab is a plugin.
          ...(layer === 'model'
            ? [{ group: ['@jupyterlab/*', 'react'], message: 'The model knows no screen.' }]
            : [])
        ]
      }
    ]
  }
}));

const FETCHING = [
  {
    selector: "CallExpression[callee.property.name='makeRequest']",
    message: 'Only src/api/requests.ts fetches.'
  },
  {
    selector: 'NewExpression[callee.property.name="WebSocket"]',
    message: 'Only src/api/stream.ts opens a websocket.'
  }
];

export default defineConfig(
  globalIgnores(['lib', 'node_modules']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.mjs', 'style/index.js'] },
        tsconfigRootDir: import.meta.dirname
      }
    }
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    plugins: { 'react-hooks': reactHooks },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', { max: 60, skipComments: true, skipBlankLines: true }],
      'no-restricted-globals': [
        'error',
        ...['fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource'].map(name => ({
          name,
          message: 'Only src/api talks to the server.'
        }))
      ],
      'no-restricted-syntax': ['error', ...FETCHING],
      // JupyterLab's convention: an interface and its token share a name.
      '@typescript-eslint/no-redeclare': 'off',
      '@typescript-eslint/no-namespace': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }]
    }
  },
  ...arrows,
  { files: ['src/api/requests.ts'], rules: { 'no-restricted-syntax': ['error', FETCHING[1]] } },
  { files: ['src/api/stream.ts'], rules: { 'no-restricted-syntax': ['error', FETCHING[0]] } },
  {
    // In a test, a null where there must be none is a failure as good as any.
    files: ['test/**'],
    rules: {
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off'
    }
  },
  { files: ['**/*.mjs', '**/*.js'], extends: [tseslint.configs.disableTypeChecked] }
);
