import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import LongFilesFirst from "./test/support/LongFilesFirst.ts"

/** The embedded PostgreSQL of a run has sessions for so many test processes; each takes up to a gigabyte of memory. */
const mostForks = 8

const forks = Math.min(Math.max(availableParallelism(), 2), mostForks)

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/globalSetup.ts"],
    setupFiles: ["test/support/RestoreIt.ts"],
    reporters: ["default", "./test/support/RunSummary.ts"],
    // What a test logs is shown where it fails.
    silent: "passed-only",
    sequence: { sequencer: LongFilesFirst },
    pool: "forks",
    // A process runs one file after the other: starting one and loading the libraries costs 0.8 s of processor time a file.
    isolate: false,
    // With fewer at least than at most, vitest 3.2 ends a run early: it stops an idle process, and others with it.
    poolOptions: { forks: { maxForks: forks, minForks: forks } },
    // A busy machine takes ten seconds for a start of the program, and a test may have several.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000
  }
})
