/** How a command line of this program begins, for messages that say what to type next. */
export const program = "pnpm gravitas"
