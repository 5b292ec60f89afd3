import { it, makeMethods } from "@effect/vitest"

// `layer` of @effect/vitest writes its own `effect` and `scoped` into the `it` of the process, which runs many files.
makeMethods(it)
