import { existsSync, writeFileSync } from "node:fs"

const token = existsSync("/run/secrets/TOKEN") ? "with a token" : "without a token"
writeFileSync("built.txt", token)
