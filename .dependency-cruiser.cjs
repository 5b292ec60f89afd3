/**
 * The import law: domain <- contracts <- platform <- embedded-postgres, clients, migrator, audit <- gatekeeper, guardian, router
 * <- app <- main. Inside a room, folders import in one direction.
 * test/ImportLaw.test.ts breaks each rule once.
 *
 * @type {import("dependency-cruiser").IConfiguration}
 */
module.exports = {
  forbidden: [
    {
      name: "domain-imports-nothing",
      comment: "Every room may import the shared vocabulary, because it imports no room.",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { path: "^src/", pathNot: "^src/domain/" }
    },
    {
      name: "domain-is-pure",
      comment: "No Node modules in domain: its decisions are functions of their arguments, tested as tables.",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "contracts-import-domain-only",
      comment: "A contract describes a service for its clients, so nothing of an implementation belongs to it.",
      severity: "error",
      from: { path: "^src/contracts/" },
      to: { path: "^src/", pathNot: "^src/(domain|contracts)/" }
    },
    {
      name: "platform-imports-contracts-and-domain-only",
      comment: "The edges of the process serve every room above, so they depend on none of them.",
      severity: "error",
      from: { path: "^src/platform/" },
      to: { path: "^src/", pathNot: "^src/(domain|contracts|platform)/" }
    },
    {
      name: "engines-are-independent",
      comment: "The rooms between platform and the services do not need each other.",
      severity: "error",
      from: { path: "^src/(embedded-postgres|clients|migrator|audit)/" },
      to: { path: "^src/", pathNot: "^src/(domain|contracts|platform|$1)/" }
    },
    {
      name: "services-are-independent",
      comment: "Services may run in separate processes: they call each other through a client, never by import.",
      severity: "error",
      from: { path: "^src/(gatekeeper|guardian|router)/" },
      to: { path: "^src/", pathNot: "^src/(domain|contracts|platform|embedded-postgres|clients|migrator|audit|$1)/" }
    },
    {
      name: "only-main-imports-app",
      comment: "app composes the program: in src, only main.ts imports it.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(main[.]ts$|app/)" },
      to: { path: "^src/app/" }
    },
    {
      name: "rooms-are-named",
      comment: "A file in src is main.ts or in a room that the rules above name; a new room needs a rule first.",
      severity: "error",
      from: {},
      to: {
        path: "^src/",
        pathNot:
          "^src/(main[.]ts$|(domain|contracts|platform|embedded-postgres|clients|migrator|audit|gatekeeper|guardian|router|app)/)"
      }
    },
    {
      name: "main-is-not-imported",
      comment: "main.ts is the composition root: importing it would start the program. Tests and scripts spawn it.",
      severity: "error",
      from: {},
      to: { path: "^src/main[.]ts$" }
    },
    {
      name: "src-imports-no-test-or-script",
      comment: "What is shipped does not need what proves or measures it.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|scripts)/" }
    },
    {
      name: "test-imports-no-benchmark",
      comment:
        "Benchmarks use the tests' libraries; a test imports only the scripts that build, check, document and release.",
      severity: "error",
      from: { path: "^test/" },
      to: { path: "^scripts/", pathNot: "^scripts/(build|check|docs|release)/" }
    },
    {
      name: "no-circle",
      comment: "In a circle, nothing can be understood, tested or loaded first.",
      severity: "error",
      from: {},
      to: { circular: true }
    },
    {
      name: "no-folder-circle",
      comment: "The folders of a room have an order too: a reader can start at one end.",
      severity: "error",
      scope: "folder",
      from: { path: "^src/" },
      to: { circular: true }
    },
    {
      name: "no-barrel",
      comment:
        "Modules one by one (effect/Effect): a package's barrel doubles the time from the command to its first line.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "node_modules/(effect|@effect/[^/]+)/(dist/(esm|cjs|dts)|src)/index[.]" }
    },
    {
      name: "no-orphan",
      comment:
        "Code that neither main.ts nor a migration reaches is dead, even where a test keeps it company. " +
        "src/migrator/revision/ has the former paths that the applied revisions of an installation import. " +
        "Four files of src/audit/tree/ write formats; strike them out here once the publisher uses them.",
      severity: "error",
      from: { path: "^(src/main[.]ts$|migrations/)" },
      to: {
        path: "^src/",
        pathNot:
          "^src/(main[.]ts$|migrator/revision/|audit/tree/(EntryReading|NoteSigning|ProofBuilding|ProofFileWriting)[.]ts$)|[.]d[.]ts$",
        reachable: false
      }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // Type-only imports bind as firmly as others.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: [".ts", ".js", ".cjs", ".mjs", ".json"], conditionNames: ["import", "types"] }
  }
}
