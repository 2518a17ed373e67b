//! The server itself, over a real connection. The first byte says how: `0` is a start of a conversation in HTTP, byte by byte
//! as it is; `1` the frames of a WebSocket; `2` a text said to elizaOS's stream of events; `3` bytes said to it.
#![no_main]

#[path = "../../adapters/eliza/tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use trainyard_fuzz::within;
use trainyard_http::{
    BodyError, Mount, Mounts, Multipart, MultipartLimits, Request, Response, Server, ServerConfig,
    StatusCode, WebSocketLimits, service_fn,
};

/// Where the server listens, which goes on until the process ends.
static PORT: LazyLock<u16> = LazyLock::new(|| {
    let bench = support::Bench::new();
    let mount = |prefix, service| Mount::new(prefix, service).expect("it is a prefix");
    let mut mounts = bench.service.mounts().into_iter();
    let mounts = mounts.try_fold(Mounts::new(), Mounts::with);
    let mounts = mounts.and_then(|mounts| mounts.with(mount("/", Arc::new(service_fn(read)))));
    let mounts = mounts.and_then(|mounts| mounts.with(mount("/form", Arc::new(service_fn(take_apart)))));
    let mounts = mounts.and_then(|mounts| mounts.with(mount("/echo", Arc::new(service_fn(echo)))));
    // Long enough never to end a conversation here.
    let time = Duration::from_secs(60);
    let config = ServerConfig::new("0.0.0.0:0".parse().expect("it is an address")).with_body_limit(64 << 10);
    let config = config.with_header_timeout(time).with_body_stall_timeout(time);
    let server = Server::start(config, mounts.expect("no two are alike")).expect("it can listen");
    let port = server.local_addr().port();
    std::mem::forget((server, bench));
    port
});

async fn read(mut request: Request) -> Response {
    match request.take_body().collect(usize::MAX).await {
        Ok(body) => Response::text(StatusCode::OK, body.len().to_string()),
        Err(BodyError::TooLarge { .. }) => Response::empty(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Response::empty(StatusCode::BAD_REQUEST),
    }
}

async fn take_apart(mut request: Request) -> Response {
    let limits = MultipartLimits { parts: 4, header_bytes: 512, part_bytes: 4_096 };
    let Ok(mut form) = Multipart::of(&mut request, limits) else {
        return Response::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    };
    let mut bytes = 0;
    loop {
        match form.next_part().await {
            Ok(Some(mut part)) => {
                while let Ok(Some(piece)) = part.chunk().await {
                    bytes += piece.len();
                }
            }
            Ok(None) => return Response::text(StatusCode::OK, bytes.to_string()),
            Err(_) => return Response::empty(StatusCode::BAD_REQUEST),
        }
    }
}

async fn echo(request: Request) -> Response {
    let upgraded = request.upgrade(WebSocketLimits::new().with_message_bytes(4_096), async |mut socket| {
        while let Some(message) = socket.receive().await {
            assert!(message.bytes() <= 4_096);
            if socket.send(message).await.is_err() {
                return;
            }
        }
    });
    upgraded.unwrap_or_else(|error| Response::empty(error.status()))
}

/// A conversation up to its end. Each time with another address of this machine, or there would soon be no free port.
///
/// Whoever sends nothing more counts as gone, and need not be answered.
fn converse(sent: &[u8], is_all: bool) -> Vec<u8> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % 60_000;
    let host = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + next);
    let mut stream = TcpStream::connect(SocketAddr::from((host, *PORT))).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("it is a socket");
    // It may close before it has taken all of it.
    let _ = stream.write_all(sent);
    if is_all {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
    said
}

const HANDSHAKE: &str = "HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A frame under a mask of zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        Ok(_) | Err(_) => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).expect("inputs are shorter").to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let rest = &rest[..rest.len().min(32 << 10)];
    LazyLock::force(&PORT);
    let said = within(16 << 20, || {
        let upgraded = |path: &str| format!("GET {path} {HANDSHAKE}").into_bytes();
        let sent = match how {
            b'1' => [upgraded("/echo"), rest.to_vec()].concat(),
            b'2' => [upgraded("/ws"), frame(1, rest), frame(8, &[])].concat(),
            b'3' => [upgraded("/ws"), frame(2, rest), frame(8, &[])].concat(),
            _ => rest.to_vec(),
        };
        converse(&sent, true)
    });
    assert!(said.is_empty() || said.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&said));
    assert!(said.get(9) != Some(&b'5'), "{}", String::from_utf8_lossy(&said));
    if matches!(how, b'1'..=b'3') {
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&said));
    }
    let well = converse(b"GET /x HTTP/1.1\r\nconnection: close\r\n\r\n", false);
    assert!(well.starts_with(b"HTTP/1.1 200"), "it goes on: {}", String::from_utf8_lossy(&well));
});
