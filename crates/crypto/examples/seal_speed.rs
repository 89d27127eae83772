//! How fast sealed files are, compared with what the AES-GCM crate reaches in memory.
//!
//! `cargo run --release -p keepwatch-crypto --example seal_speed [MiB [SECONDS]]`

#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use std::hint::black_box;
use std::io::{self, Cursor, Read as _};
use std::time::{Duration, Instant};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce};
use keepwatch_crypto::backuphandler::{Decryptor, LegacyKey, encrypt};
use keepwatch_crypto::sealed::{Info, SealOptions, open_stream, seal_stream};
use keepwatch_crypto::{Credential, Error, Kdf, Key, Lock, Passphrase, Suite, slot};

const CHUNK: usize = 64 << 10;

fn main() -> Result<(), Error> {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse().ok());
    let mib = args.next().unwrap_or(8);
    let patience = Duration::from_secs(args.next().unwrap_or(20) as u64);
    let len: usize = mib << 20;
    println!(
        "{mib} MiB in memory, chunks of 64 KiB; recommended here: {}",
        Suite::recommended()
    );

    let key = &Key::generate()?;
    let gcm = Aes256Gcm::new(key.expose().into());
    let plain: &[u8] = &(0..len).map(|at| (at * 7) as u8).collect::<Vec<u8>>();
    let mut in_place = plain.to_vec();
    let mut copy = plain.to_vec();
    let mut jobs = vec![
        Job::new("aes-gcm crate, in place", move || {
            in_place
                .chunks_mut(CHUNK)
                .for_each(|chunk| seal_raw(&gcm, chunk));
        }),
        Job::new("copy from memory to memory", move || {
            copy.copy_from_slice(black_box(plain));
        }),
    ];
    let gcm = Aes256Gcm::new(key.expose().into());
    let mut in_place = plain.to_vec();
    jobs.push(Job::new("aes-gcm crate, in place, 2 threads", move || {
        let (gcm, half) = (&gcm, len / 2);
        std::thread::scope(|scope| {
            for part in in_place.chunks_mut(half) {
                scope.spawn(move || {
                    part.chunks_mut(CHUNK)
                        .for_each(|chunk| seal_raw(gcm, chunk));
                });
            }
        });
    }));
    // The overhead of sealed files alone, where reading and writing cost next to nothing.
    for threads in [1, 2] {
        let name = format!("seal_stream, xaes-256-gcm, {threads} thread(s), no copies");
        jobs.push(Job::new(name, move || {
            let options = SealOptions {
                suite: Suite::Xaes256Gcm,
                ..SealOptions::default()
            };
            let zeros = io::repeat(0).take(len as u64);
            let locks = [Lock::KeyFile(key)];
            seal_stream(zeros, io::sink(), &locks, options, threads).expect("a sink takes all");
        }));
    }
    for suite in Suite::ALL {
        for threads in [1, 2] {
            let options = SealOptions {
                suite,
                ..SealOptions::default()
            };
            // Both were written to before: fresh pages would cost more than the encryption.
            let mut sealed = vec![0; len + len / CHUNK * 16 + 1024];
            let mut opened = vec![0; len];
            let seal = move |out: &mut [u8]| {
                let locks = [Lock::KeyFile(key)];
                seal_stream(plain, Cursor::new(out), &locks, options, threads).expect("it fits");
            };
            seal(&mut sealed);
            let header = Info::read(sealed.as_slice())?.header_len as usize;
            let file = sealed[..header + len + len / CHUNK * 16].to_vec();
            let credential = Credential::KeyFile(key.clone());
            jobs.push(Job::new(
                format!("seal_stream, {suite}, {threads} thread(s)"),
                move || {
                    seal(&mut sealed);
                },
            ));
            jobs.push(Job::new(
                format!("open_stream, {suite}, {threads} thread(s)"),
                move || {
                    let out = Cursor::new(opened.as_mut_slice());
                    open_stream(file.as_slice(), out, &credential, threads).expect("just sealed");
                },
            ));
        }
    }
    let legacy = LegacyKey::from_key_file(key);
    let mut file = Vec::new();
    encrypt(plain, &mut file, &legacy)?;
    let mut out = file.clone();
    jobs.push(Job::new("BackupHandler encrypt", move || {
        encrypt(plain, Cursor::new(out.as_mut_slice()), &legacy)
            .map(drop)
            .expect("it fits");
    }));
    let mut out = plain.to_vec();
    let mut decryptor = Decryptor::new(Credential::KeyFile(key.clone()));
    jobs.push(Job::new("BackupHandler decrypt, two passes", move || {
        let out = Cursor::new(out.as_mut_slice());
        decryptor
            .decrypt(Cursor::new(&file), out)
            .map(drop)
            .expect("just encrypted");
    }));

    // In turns, so that what else the machine does hits all alike, and a few times each, so that
    // the caches hold what they can. The best round counts.
    let begin = Instant::now();
    while begin.elapsed() < patience {
        for job in &mut jobs {
            for _ in 0..5 {
                let start = Instant::now();
                (job.run)();
                job.best = job.best.min(start.elapsed());
            }
        }
    }
    for job in &jobs {
        let speed = len as f64 / job.best.as_secs_f64() / 1e6;
        let percent = 100.0 * jobs[0].best.as_secs_f64() / job.best.as_secs_f64();
        println!("{:52} {speed:8.0} MB/s {percent:6.0} %", job.name);
    }

    let passphrase = Passphrase::from("passphrase");
    for kdf in [Kdf::default(), Kdf::pbkdf2(600_000)] {
        let start = Instant::now();
        slot::write(
            &Lock::Passphrase(&passphrase, kdf),
            Suite::recommended(),
            b"",
            &[0; 32],
        )?;
        println!(
            "{:52} {:8.0} ms",
            kdf.to_string(),
            start.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}

fn seal_raw(gcm: &Aes256Gcm, chunk: &mut [u8]) {
    let tag = gcm.encrypt_inout_detached(&Nonce::default(), b"aad", InOutBuf::from(chunk));
    black_box(tag.expect("a chunk is short"));
}

struct Job<'a> {
    name: String,
    run: Box<dyn FnMut() + 'a>,
    best: Duration,
}

impl<'a> Job<'a> {
    fn new(name: impl Into<String>, run: impl FnMut() + 'a) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            best: Duration::MAX,
        }
    }
}
