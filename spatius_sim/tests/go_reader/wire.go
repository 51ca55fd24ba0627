package main

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// enum MessageType
const (
	clientConfigureSession  = 1
	serverConfirmSession    = 2
	clientAudioInput        = 3
	serverError             = 4
	serverResponseAnimation = 5
	clientInterrupt         = 7
)

// The field of `oneof data` that belongs to a type.
var dataFields = map[uint64]protowire.Number{serverConfirmSession: 3, serverError: 5, serverResponseAnimation: 6}

var flameFloats = []int{3, 3, 3, 3, 6, 2, 100}

// What a server says, whichever message it says it with.
type envelope struct {
	kind                      uint64
	connectionID, reqID, text string
	code                      int32
	end                       bool
	keyframes                 [][]byte // packed little-endian floats in the order of the fields
}

type field struct {
	integer uint64
	bytes   []byte
}

// Every value of every field by its number; unknown wire types are stepped over.
func fields(data []byte) (map[protowire.Number][]field, error) {
	found := map[protowire.Number][]field{}
	for len(data) > 0 {
		number, kind, length := protowire.ConsumeTag(data)
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		data = data[length:]
		var one field
		switch kind {
		case protowire.VarintType:
			one.integer, length = protowire.ConsumeVarint(data)
		case protowire.BytesType:
			one.bytes, length = protowire.ConsumeBytes(data)
		default:
			length = protowire.ConsumeFieldValue(number, kind, data)
		}
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		found[number] = append(found[number], one)
		data = data[length:]
	}
	return found, nil
}

// proto3: of a field that is not repeated, the last one counts.
func last(values []field) field {
	if len(values) == 0 {
		return field{}
	}
	return values[len(values)-1]
}

// A message that comes in pieces is what its pieces are one after the other.
func merged(pieces []field) []byte {
	var whole []byte
	for _, piece := range pieces {
		whole = append(whole, piece.bytes...)
	}
	return whole
}

func understand(data []byte) (envelope, error) {
	message, err := fields(data)
	if err != nil {
		return envelope{}, err
	}
	said := envelope{kind: last(message[1]).integer}
	inside, err := fields(merged(message[dataFields[said.kind]]))
	if err != nil {
		return envelope{}, err
	}
	said.connectionID, said.reqID = string(last(inside[1]).bytes), string(last(inside[2]).bytes)
	switch said.kind {
	case serverError:
		said.code, said.text = int32(last(inside[3]).integer), string(last(inside[4]).bytes)
	case serverResponseAnimation:
		said.end = last(inside[3]).integer != 0
		said.keyframes, err = keyframes(merged(inside[4]))
	}
	if err == nil && !utf8.ValidString(said.connectionID+said.reqID+said.text) {
		err = errors.New("a string is not UTF-8")
	}
	return said, err
}

func keyframes(animation []byte) ([][]byte, error) {
	repeated, err := fields(animation)
	var all [][]byte
	for index, flame := range repeated[1] {
		parts, err := fields(flame.bytes)
		if err != nil {
			return nil, err
		}
		var one []byte
		for part, floats := range flameFloats {
			value := last(parts[protowire.Number(part+1)]).bytes
			if len(value) != 4*floats {
				return nil, fmt.Errorf("keyframe %d: field %d has %d bytes, not %d floats", index, part+1, len(value), floats)
			}
			one = append(one, value...)
		}
		all = append(all, one)
	}
	return all, err
}

func put(number protowire.Number, value interface{}) []byte {
	switch value := value.(type) {
	case int:
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), uint64(value))
	case string:
		return put(number, []byte(value))
	default:
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value.([]byte))
	}
}

func say(kind int, data protowire.Number, parts ...[]byte) []byte {
	var inside []byte
	for _, part := range parts {
		inside = append(inside, part...)
	}
	return append(put(1, kind), put(data, inside)...)
}

func configure(sampleRate int, livekit map[string]string) []byte {
	parts := [][]byte{put(1, sampleRate)}
	if livekit != nil {
		var inside []byte
		numbers := map[string]protowire.Number{"url": 1, "api_key": 2, "api_secret": 3, "room_name": 4, "publisher_id": 5, "api_token": 8}
		for name, value := range livekit {
			inside = append(inside, put(numbers[name], value)...)
		}
		parts = append(parts, put(5, 1), put(6, inside))
	}
	return say(clientConfigureSession, 2, parts...)
}

func audioInput(reqID string, audio []byte, end int) []byte {
	return say(clientAudioInput, 4, put(1, reqID), put(2, end), put(3, audio))
}

func interrupt(reqID string) []byte {
	return say(clientInterrupt, 8, put(1, reqID))
}
