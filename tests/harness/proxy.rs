//! A TCP proxy that misbehaves: stops forwarding, cuts, refuses, leads elsewhere, or cuts at the moment of a COMMIT.
//!
//! It stands between a host and its database and is what a network does at its worst.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A proxy on a free loopback port. It ends when dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
}

#[derive(Default)]
struct Shared {
    target: AtomicU16,
    /// Bytes are held back.
    hold: AtomicBool,
    /// New connections are refused.
    refuse: AtomicBool,
    ended: AtomicBool,
    /// How many of the next COMMITs are cut, and whether they get through.
    cuts: AtomicU32,
    cut_through: AtomicBool,
    cut: AtomicU64,
    open: Mutex<HashMap<u64, (TcpStream, TcpStream)>>,
    next: AtomicU64,
}

impl Proxy {
    /// Leads to this port on loopback.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        shared.target.store(port, Ordering::SeqCst);
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                if accepting.refuse.load(Ordering::SeqCst) {
                    continue;
                }
                let target =
                    SocketAddr::from(([127, 0, 0, 1], accepting.target.load(Ordering::SeqCst)));
                let Ok(server) = TcpStream::connect_timeout(&target, Duration::from_secs(2)) else {
                    continue;
                };
                accepting.take(client, server);
            }
        });
        Self { shared, port: own }
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing gets through and nobody is told: connections stay open.
    pub fn hold(&self) {
        self.shared.hold.store(true, Ordering::SeqCst);
    }

    /// What was held back goes on, and new connections are let in.
    pub fn heal(&self) {
        self.shared.hold.store(false, Ordering::SeqCst);
        self.shared.refuse.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections and refuses new ones.
    pub fn refuse(&self) {
        self.shared.refuse.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for (_, (client, server)) in self.shared.open.lock().expect("no panic").drain() {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// New connections lead there from now on; the old ones are cut.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::SeqCst);
        self.cut();
    }

    /// The next `count` connections that send COMMIT are cut: after it has gone to the server (`through`), or before.
    pub fn cut_at_commit(&self, count: u32, through: bool) {
        self.shared.cut_through.store(through, Ordering::SeqCst);
        self.shared.cuts.store(count, Ordering::SeqCst);
    }

    /// How many were cut so.
    pub fn cuts(&self) -> u64 {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts.
        let own = SocketAddr::from(([127, 0, 0, 1], self.port));
        let _ = TcpStream::connect_timeout(&own, Duration::from_secs(1));
    }
}

impl Shared {
    fn take(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else {
            return;
        };
        self.open
            .lock()
            .expect("no panic")
            .insert(number, (client_too, server_too));
        let this = Arc::clone(self);
        std::thread::spawn(move || this.carry(number, from_client, server, true));
        let this = Arc::clone(self);
        std::thread::spawn(move || this.carry(number, from_server, client, false));
    }

    fn carry(&self, number: u64, mut from: TcpStream, mut to: TcpStream, asks: bool) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(read) = from.read(&mut buffer) {
            let bytes = &buffer[..read];
            if read == 0 {
                break;
            }
            while self.hold.load(Ordering::SeqCst) && !self.ended.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            if asks && bytes.windows(7).any(|window| window == b"COMMIT\0") && self.takes_a_cut() {
                // First of all, so that no answer slips through.
                let _ = from.shutdown(Shutdown::Both);
                if self.cut_through.load(Ordering::SeqCst) {
                    let _ = to.write_all(bytes);
                }
                self.cut.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        if let Some((client, server)) = self.open.lock().expect("no panic").remove(&number) {
            // The client first: it must not see what the server answers.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Write);
        }
    }

    fn takes_a_cut(&self) -> bool {
        self.cuts
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
}
