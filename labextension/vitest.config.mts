import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.{ts,tsx}'],
    // A JupyterLab package is bundled for browsers: vite has to take it through, Node could not load it.
    server: { deps: { inline: [/@jupyterlab/] } }
  }
});
