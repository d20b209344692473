// Change it, push, and the new one works.
const version = "1"

let job = 0
const work = setInterval(() => {
  job += 1
  console.log(`version ${version} has done job ${job}`)
}, 500)

console.log(`version ${version} waits for jobs`)

process.on("SIGTERM", () => {
  clearInterval(work)
  console.log(`version ${version} takes no more jobs`)
  process.exit(0)
})
