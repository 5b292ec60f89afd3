/**
 * The import law: domain <- platform <- migrator, audit, peers <- gatekeeper, guardian, router <- launch <- main; of a service
 * its peers know the contract, Api.ts, alone.
 * test/ImportLaw.test.ts breaks each rule once.
 *
 * @type {import("dependency-cruiser").IConfiguration}
 */
module.exports = {
  forbidden: [
    {
      name: "domain-stands-alone",
      comment: "The shared vocabulary knows nobody: everyone may import it because it imports no one.",
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
      name: "platform-knows-domain-only",
      comment: "The edges of the process serve every room above, so they depend on none of them.",
      severity: "error",
      from: { path: "^src/platform/" },
      to: { path: "^src/", pathNot: "^src/(domain|platform)/" }
    },
    {
      name: "migrator-and-audit-apart",
      comment: "Neither needs the other: audit finds its tables made, migrator does not know what they are for.",
      severity: "error",
      from: { path: "^src/(migrator|audit)/" },
      to: { path: "^src/", pathNot: "^src/(domain|platform|$1)/" }
    },
    {
      name: "services-apart",
      comment:
        "Services may run in processes of their own: they speak through a derived HttpApiClient, never by import.",
      severity: "error",
      from: { path: "^src/(gatekeeper|guardian|router)/" },
      to: { path: "^src/", pathNot: "^src/(domain|platform|migrator|audit|peers|$1)/" }
    },
    {
      name: "peers-know-contracts-only",
      comment: "A client is derived from a service's contract: nothing behind it may leak to those that only ask.",
      severity: "error",
      from: { path: "^src/peers/" },
      to: { path: "^src/", pathNot: "^src/(domain|platform|peers)/|^src/(gatekeeper|guardian|router)/Api[.]ts$" }
    },
    {
      name: "launch-is-mains-own",
      comment: "launch puts the program together: in src, only main.ts asks for it.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(main[.]ts$|launch/)" },
      to: { path: "^src/launch/" }
    },
    {
      name: "rooms-are-named",
      comment: "A file in src is main.ts or in a room that the rules above know; a new room needs a rule first.",
      severity: "error",
      from: {},
      to: {
        path: "^src/",
        pathNot: "^src/(main[.]ts$|(domain|platform|migrator|audit|peers|gatekeeper|guardian|router|launch)/)"
      }
    },
    {
      name: "nobody-imports-main",
      comment: "main.ts is the composition root: importing it would start the program. Tests and scripts spawn it.",
      severity: "error",
      from: {},
      to: { path: "^src/main[.]ts$" }
    },
    {
      name: "src-stands-without-test-and-scripts",
      comment: "What is shipped does not need what proves or measures it.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|scripts)/" }
    },
    {
      name: "test-stands-without-scripts",
      comment: "Scripts measure the program with the tests' libraries; a test needs no script.",
      severity: "error",
      from: { path: "^test/" },
      to: { path: "^scripts/" }
    },
    {
      name: "no-circle",
      comment: "In a circle, nothing can be understood, tested or loaded first.",
      severity: "error",
      from: {},
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
      comment: "Code that neither main.ts nor a migration reaches is dead, even where a test keeps it company.",
      severity: "error",
      from: { path: "^(src/main[.]ts$|migrations/)" },
      to: { path: "^src/", pathNot: "^src/main[.]ts$|[.]d[.]ts$", reachable: false }
    }
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // Type-only imports bind as firmly as others.
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { extensions: [".ts", ".js", ".cjs", ".mjs", ".json"], conditionNames: ["import", "types"] }
  }
}
