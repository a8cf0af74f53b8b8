//! Looks for files, variables, arguments, sockets and names.

#![expect(clippy::disallowed_methods, reason = "that is the attack")]

use keyport_sdk::{Failure, Host, Value, json};

pub fn run(_host: &dyn Host, _input: Value) -> Result<Value, Failure> {
    Ok(json!({
        "env": std::env::vars().count(),
        "args": std::env::args().count(),
        "root": std::fs::read_dir("/").is_ok(),
        "file": std::fs::read("/etc/hostname").is_ok(),
        "write": std::fs::write("/tmp/mine", b"x").is_ok(),
        "tcp": std::net::TcpStream::connect("127.0.0.1:80").is_ok(),
        "listen": std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
        "udp": std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "lookup": std::net::ToSocketAddrs::to_socket_addrs("example.com:80").is_ok(),
    }))
}
