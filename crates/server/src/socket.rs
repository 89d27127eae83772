//! WebSockets (RFC 6455) that notice when nobody is there any more.

use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use tokio::time::{Instant, timeout};

/// How often a silent client is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A client that says nothing for so long is gone.
const SILENT: Duration = Duration::from_secs(60);

/// What clients send is short.
const MAX_MESSAGE: usize = 16 << 10;
/// What waits to be sent to one client, in bytes, before sending waits for it.
const MAX_WAITING: usize = 4 << 20;

/// With bounds for what is kept of a client.
pub(crate) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WAITING)
}

/// What a client sent.
pub(crate) enum Incoming {
    Text(Utf8Bytes),
    /// Nothing that matters.
    Nothing,
    /// It has gone, or broken the protocol.
    Gone,
}

/// It takes nothing any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// A connection.
pub(crate) struct Socket {
    inner: WebSocket,
    /// A client that takes nothing for so long is dropped: others see every event all the same.
    patience: Duration,
    heard: Instant,
    ping: tokio::time::Interval,
}

impl Socket {
    pub fn new(inner: WebSocket, patience: Duration) -> Self {
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self {
            inner,
            patience,
            heard: Instant::now(),
            ping,
        }
    }

    /// Sends a text.
    pub async fn text(&mut self, text: Utf8Bytes) -> Result<(), Gone> {
        self.send(Message::Text(text)).await
    }

    /// Sends bytes.
    pub async fn binary(&mut self, bytes: axum::body::Bytes) -> Result<(), Gone> {
        self.send(Message::Binary(bytes)).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match timeout(self.patience, self.inner.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    /// Waits for what the client sends; it may be given up at any time.
    pub async fn incoming(&mut self) -> Incoming {
        tokio::select! {
            message = self.inner.recv() => {
                self.heard = Instant::now();
                match message {
                    Some(Ok(Message::Text(text))) => Incoming::Text(text),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Incoming::Gone,
                    Some(Ok(_)) => Incoming::Nothing,
                }
            }
            _ = self.ping.tick() => {
                if self.heard.elapsed() > SILENT {
                    return Incoming::Gone;
                }
                match self.send(Message::Ping(axum::body::Bytes::new())).await {
                    Ok(()) => Incoming::Nothing,
                    Err(Gone) => Incoming::Gone,
                }
            }
        }
    }

    /// Ends it in good order, if the client still takes that.
    pub async fn close(self) {
        self.close_with(1001, "").await;
    }

    /// Ends it and says why (RFC 6455, section 7.4).
    pub async fn close_with(mut self, code: u16, reason: &'static str) {
        let frame = axum::extract::ws::CloseFrame {
            code,
            reason: reason.into(),
        };
        let _ = self.send(Message::Close(Some(frame))).await;
    }
}
