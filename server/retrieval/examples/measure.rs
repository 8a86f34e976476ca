//! Prints what hashing a frame and one search cost. Run it in the release profile; the number of codes is the argument.

use std::hint::black_box;
use std::time::{Duration, Instant};

use isocenter_retrieval::{Error, GrayPicture, Indexes, perceptual_hash};

fn main() -> Result<(), Error> {
    let codes: i64 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_000);
    let spread = |n: i64| {
        let h = n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (h ^ (h >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };

    let data: Vec<u8> = (0..512i64 * 512).map(|n| (spread(n / 4096) >> 56) as u8).collect();
    let picture = GrayPicture::new(512, 512, &data)?;
    println!(
        "hash of 512 x 512: {:?}",
        mean(50, || perceptual_hash(black_box(&picture)))
    );

    let indexes = Indexes::new();
    let start = Instant::now();
    indexes.load(1, "model", (0..codes).map(|n| (n, spread(n))))?;
    println!("loading {codes} codes: {:?}", start.elapsed());
    let mut n = codes;
    for k in [10, 100, 1000] {
        let time = mean(50, || {
            n += 1;
            indexes.search(&[1], "model", spread(n), k)
        });
        println!("search of {codes} codes, {k} hits: {time:?}");
    }
    println!("one removal: {:?}", mean(50, || indexes.remove(1, "model", 5)));
    Ok(())
}

fn mean<T>(times: u32, mut body: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..times {
        black_box(body());
    }
    start.elapsed() / times
}
