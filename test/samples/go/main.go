// Answers with the sample's version and a new identifier.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/google/uuid"
)

const version = "1"

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(response, "Hello from Go, version %s, %s\n", version, uuid.NewString())
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
