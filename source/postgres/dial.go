package postgres

import (
	"net"
	"time"
)

// vanished is how long a peer may leave unanswered what is sent to it.
const vanished = 60 * time.Second

// dialer opens connections that end when the peer has vanished: an idle one is
// tried, and what was sent is not sent again for long.
var dialer = &net.Dialer{
	KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3},
	Control:         limitUnanswered,
}
