const load = () => import("libpg-query")

let loaded: ReturnType<typeof load> | undefined

/**
 * Loads PostgreSQL's parser on first use: it is 1.7 MB of WebAssembly, and a start at head needs none of it. Once, since each
 * `import()` looks for the module again.
 */
export const loadParser = (): ReturnType<typeof load> => {
  loaded ??= load()
  return loaded
}
