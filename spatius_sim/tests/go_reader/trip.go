package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// "sdk-go: 400, 401, 404 at the upgrade by status alone".
var upgradeCodes = map[int]string{400: "sessionTokenInvalid", 401: "sessionTokenExpired", 404: "appIDUnrecognized"}

// "ServerErrors it does not know (4001, 4002) become unknown".
var serverCodes = map[int32]string{4001: "unknown", 4002: "unknown"}

type trip struct {
	job
	met         outcome
	socket      *websocket.Conn
	heard       chan event
	came        map[string]int // keyframes for each req_id that was spoken
	ended       map[string]bool
	interrupted map[string]bool
}

func travel(wanted job) outcome {
	t := &trip{
		job:   wanted,
		met:   outcome{Name: wanted.Name, ReqIDs: []string{}, Events: []event{}, Disagreements: []string{}},
		heard: make(chan event, 1000), came: map[string]int{}, ended: map[string]bool{}, interrupted: map[string]bool{},
	}
	token, refusal := t.fetchToken()
	if refusal == nil {
		refusal = t.connect(token)
	}
	if refusal != nil {
		t.met.Events = append(t.met.Events, *refusal)
	} else {
		go t.listen()
		if t.speak() && t.UntilTold {
			t.await(func(event) bool { return false })
		}
		t.hangUp()
	}
	if t.socket != nil {
		t.socket.Close()
	}
	return t.met
}

func (t *trip) wait() time.Duration { return time.Duration(t.Patience * float64(time.Second)) }

func (t *trip) send(message []byte) bool {
	return t.socket.WriteMessage(websocket.BinaryMessage, message) == nil
}

func failed(phase string, err error) *event {
	met := &event{Event: "told", Phase: phase, Text: err.Error()}
	var closing *websocket.CloseError
	if errors.As(err, &closing) && closing.Code != websocket.CloseNoStatusReceived && closing.Code != websocket.CloseAbnormalClosure {
		met.CloseCode = closing.Code
	}
	return met
}

func refused(phase string, codes map[int]string, response *http.Response) *event {
	body, _ := io.ReadAll(response.Body)
	return &event{Event: "told", Phase: phase, Code: codes[response.StatusCode], HTTPStatus: response.StatusCode, Text: string(body)}
}

func complained(phase string, said envelope) *event {
	return &event{Event: "told", Phase: phase, Code: serverCodes[said.code], ServerCode: &said.code, Text: said.text, ReqID: said.reqID}
}

func (t *trip) fetchToken() (string, *event) {
	const phase = "token"
	body := fmt.Sprintf(`{"expireAt": %d}`, time.Now().Unix()+t.ExpireIn)
	request, err := http.NewRequest("POST", t.Console+"/session-tokens", strings.NewReader(body))
	if err != nil {
		return "", failed(phase, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Api-Key", "an-api-key-of-some-length")
	client := http.Client{Timeout: t.wait(), Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", failed(phase, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", refused(phase, nil, response)
	}
	var granted struct {
		SessionToken string `json:"sessionToken"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil || granted.SessionToken == "" {
		return "", failed(phase, fmt.Errorf("no sessionToken at the top level: %v", err))
	}
	return granted.SessionToken, nil
}

// Upgrade and handshake.
func (t *trip) connect(token string) *event {
	address := t.Ingress + "/websocket?id=" + url.QueryEscape(t.AvatarID)
	if strings.HasPrefix(address, "http") {
		address = "ws" + strings.TrimPrefix(address, "http")
	}
	dialer := websocket.Dialer{HandshakeTimeout: t.wait()}
	socket, response, err := dialer.Dial(address, http.Header{"X-App-ID": {t.AppID}, "X-Session-Key": {token}})
	if errors.Is(err, websocket.ErrBadHandshake) {
		return refused("upgrade", upgradeCodes, response)
	} else if err != nil {
		return failed("upgrade", err)
	}
	const phase = "handshake"
	t.socket = socket
	t.send(configure(t.SampleRate, t.Livekit))
	_ = socket.SetReadDeadline(time.Now().Add(t.wait()))
	kind, data, err := socket.ReadMessage()
	if err != nil {
		return failed(phase, err)
	}
	_ = socket.SetReadDeadline(time.Time{})
	said, err := understand(data)
	switch {
	case kind != websocket.BinaryMessage:
		return failed(phase, errors.New("a text message"))
	case err != nil:
		return failed(phase, err)
	case said.kind == serverError:
		return complained(phase, said)
	case said.kind != serverConfirmSession:
		return failed(phase, fmt.Errorf("message type %d instead of a confirmation", said.kind))
	case said.connectionID == "":
		return failed(phase, errors.New("an empty connection_id"))
	}
	t.met.ConnectionID = said.connectionID
	return nil
}

// Reads until the connection is over: "frames and errors stay in order".
func (t *trip) listen() {
	const phase = "run time"
	defer close(t.heard)
	for {
		kind, data, err := t.socket.ReadMessage()
		if err != nil {
			met := failed(phase, err)
			if met.CloseCode == 1000 || met.CloseCode == 1001 {
				met.Event = "closed" // "1000 and 1001 end its loop with neither OnError nor OnClose"
			}
			t.heard <- *met
			return
		}
		said, err := understand(data)
		switch {
		case kind != websocket.BinaryMessage:
			t.heard <- *failed(phase, errors.New("a text message"))
		case err != nil:
			t.heard <- *failed(phase, err)
		case said.kind == serverError:
			t.heard <- *complained(phase, said)
		case said.kind != serverResponseAnimation:
			t.heard <- *failed(phase, fmt.Errorf("message type %d at run time", said.kind))
		default:
			values := sha256.New()
			for _, one := range said.keyframes {
				values.Write(one)
			}
			t.heard <- event{Event: "payload", Phase: phase, ReqID: said.reqID, End: said.end, Keyframes: len(said.keyframes),
				Values: hex.EncodeToString(values.Sum(nil)), Payload: data, connectionID: said.connectionID}
		}
	}
}

// Takes events until the wanted one. False where the connection, the patience or the trip ended before.
func (t *trip) await(wanted func(event) bool) bool {
	over := time.After(t.wait())
	for {
		select {
		case met, open := <-t.heard:
			if !open {
				return false
			}
			t.met.Events = append(t.met.Events, met)
			if met.Event == "payload" {
				t.judge(met)
			}
			if t.UntilTold && met.Event == "told" {
				return false
			}
			if wanted(met) {
				return true
			}
		case <-over:
			return false
		}
	}
}

func (t *trip) disagree(format string, values ...interface{}) {
	t.met.Disagreements = append(t.met.Disagreements, fmt.Sprintf(format, values...))
}

// Whose motion it is; and "the first response carries 2 s, the following ones 4 s, the last the rest".
func (t *trip) judge(met event) {
	came, spoken := t.came[met.ReqID]
	segment := 100
	if came == 0 {
		segment = 50
	}
	if met.connectionID != t.met.ConnectionID {
		t.disagree("connection_id %q, where %q was confirmed", met.connectionID, t.met.ConnectionID)
	}
	switch {
	case !spoken:
		t.disagree("motion for %q, which nobody spoke", met.ReqID)
	case t.Livekit != nil:
		t.disagree("motion on the socket of a session with an egress")
	case t.ended[met.ReqID]:
		t.disagree("motion after the end")
	case t.interrupted[met.ReqID] && met.End:
		t.disagree("an end after an interrupt")
	case !met.End && met.Keyframes != segment, met.Keyframes > segment:
		t.disagree("%d keyframes in a segment of %d", met.Keyframes, segment)
	}
	t.came[met.ReqID] += met.Keyframes
	t.ended[met.ReqID] = t.ended[met.ReqID] || met.End
}

// All turns, one after the other; an error of its own ends one. False where one never came to its end.
func (t *trip) speak() bool {
	for _, one := range t.Turns {
		reqID := one.ReqID
		if reqID == "" {
			reqID = newReqID()
		}
		t.met.ReqIDs = append(t.met.ReqIDs, reqID)
		t.came[reqID] = 0
		chunk := t.SampleRate / 10 * 2
		for rest := one.Audio; len(rest) > 0; {
			if len(rest) < chunk {
				chunk = len(rest)
			}
			t.send(audioInput(reqID, rest[:chunk], 0))
			rest = rest[chunk:]
		}
		if !one.Interrupt {
			t.send(audioInput(reqID, nil, 1))
		}
		if t.Livekit == nil && !t.await(func(met event) bool { return met.ReqID == reqID && (met.End || one.Interrupt || met.Event == "told") }) {
			return false
		}
		keyframes := len(one.Audio) / 2 * 25 / t.SampleRate
		if one.Interrupt {
			t.interrupted[reqID] = t.send(interrupt(reqID))
		} else if t.ended[reqID] && t.came[reqID] != keyframes {
			t.disagree("%d keyframes for %d samples at %d Hz, not %d", t.came[reqID], len(one.Audio)/2, t.SampleRate, keyframes)
		}
	}
	return true
}

// Closes with 1000 and reads on until the server has answered.
func (t *trip) hangUp() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = t.socket.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	t.await(func(met event) bool { return met.Event == "closed" })
}

// UTC `YYYYMMDDHHMMSS`, underscore, 12 nanoid characters.
func newReqID() string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"
	dice := make([]byte, 12)
	if _, err := rand.Read(dice); err != nil {
		panic(err)
	}
	for index := range dice {
		dice[index] = alphabet[dice[index]%64]
	}
	return time.Now().UTC().Format("20060102150405") + "_" + string(dice)
}
