module spatius-sim/go-reader

go 1.19

require (
	github.com/gorilla/websocket v1.5.3
	google.golang.org/protobuf v1.33.0
)
