/** The application that `demo` deploys: one file, no dependencies, and one line that it changes. */
export const firstGreeting = "Hello from a push"
export const secondGreeting = "Hello again, one line later"

export const files = (greeting: string): Readonly<Record<string, string>> => ({
  "package.json": `${JSON.stringify(
    {
      name: "deploy-mcp-demo",
      private: true,
      type: "module",
      scripts: { start: "node server.js" }
    },
    null,
    2
  )}\n`,
  "server.js": `import { createServer } from "node:http"

const greeting = ${JSON.stringify(greeting)}

createServer((request, response) => response.end(\`\${greeting}\\n\`)).listen(process.env.PORT)
`
})
