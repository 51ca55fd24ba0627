// Meets a Motion Server as a Server SDK does: a second reader of the wire, written from the protocol
// document alone, before any of our server's code was read. It is not the published Go SDK, and says what
// that one would call a failure only where the document says so.
//
// Reads jobs, one JSON object for each line, takes all trips at once, and prints what each one met.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
)

type job struct {
	Name       string            `json:"name"`
	Console    string            `json:"console"`
	Ingress    string            `json:"ingress"`
	AppID      string            `json:"app_id"`
	AvatarID   string            `json:"avatar_id"`
	ExpireIn   int64             `json:"expire_in"` // seconds
	SampleRate int               `json:"sample_rate"`
	Livekit    map[string]string `json:"livekit"`
	Turns      []turn            `json:"turns"`
	UntilTold  bool              `json:"until_told"` // the first thing told ends the trip, and is waited for
	Patience   float64           `json:"patience"`   // seconds for each wait
}

type turn struct {
	ReqID     string `json:"req_id"`    // drawn where it is empty
	Audio     []byte `json:"audio"`     // mono s16le, in base64
	Interrupt bool   `json:"interrupt"` // at its first motion, in the place of an end
}

type outcome struct {
	Name          string   `json:"name"`
	ConnectionID  string   `json:"connection_id"`
	ReqIDs        []string `json:"req_ids"`
	Events        []event  `json:"events"`        // in the order in which they came
	Disagreements []string `json:"disagreements"` // with the protocol document
}

// What an application would hear of, and the close of which it would hear nothing.
type event struct {
	Event      string `json:"event"` // payload, told, closed
	Phase      string `json:"phase"` // token, upgrade, handshake, run time
	Code       string `json:"code"`  // what the document says that sdk-go calls it; empty where it does not say
	HTTPStatus int    `json:"http_status"`
	ServerCode *int32 `json:"server_code"`
	CloseCode  int    `json:"close_code"`
	Text       string `json:"text"`
	ReqID      string `json:"req_id"`
	End        bool   `json:"end"`
	Keyframes  int    `json:"keyframes"`
	Values     string `json:"values"` // sha256 over all floats of the payload, in the order of the fields
	Payload    []byte `json:"payload"`

	connectionID string
}

func main() {
	jobs := json.NewDecoder(os.Stdin)
	met := make(chan outcome)
	underway := 0
	for {
		wanted := job{SampleRate: 16000, ExpireIn: 300, Patience: 30}
		if err := jobs.Decode(&wanted); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		underway++
		go func() { met <- travel(wanted) }()
	}
	outcomes := json.NewEncoder(os.Stdout)
	for ; underway > 0; underway-- {
		if err := outcomes.Encode(<-met); err != nil {
			log.Fatal(err)
		}
	}
}
