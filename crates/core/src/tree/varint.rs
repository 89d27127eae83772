//! Unsigned LEB128 in shortest form, and zigzag for signed numbers (FORMAT.md, conventions).

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as zigzag.
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads a number from the front of `input` and gives it with its length.
pub fn get(input: &[u8]) -> Result<(u64, usize), &'static str> {
    let mut value = 0u64;
    for (at, &byte) in input.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for the highest bit only.
        if at == 9 && byte > 1 {
            return Err("a number is too large");
        }
        value |= bits << (7 * at);
        if byte & 0x80 == 0 {
            if byte == 0 && at > 0 {
                return Err("a number is longer than it need be");
            }
            return Ok((value, at + 1));
        }
    }
    Err("a number is cut off")
}

/// Undoes zigzag.
pub fn signed(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let mut values: Vec<u64> = vec![0, 1, 127, 128, 300, u64::MAX, u64::MAX - 1];
        values.extend((0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1]));
        for value in values {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(get(&bytes), Ok((value, bytes.len())));
            for cut in 0..bytes.len() {
                assert!(get(&bytes[..cut]).is_err(), "{value} cut at {cut}");
            }
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value as i64);
            let (zigzag, _) = get(&bytes).expect("a number");
            assert_eq!(signed(zigzag), value as i64);
        }
        let mut bytes = Vec::new();
        put_signed(&mut bytes, -1);
        assert_eq!(bytes, [1]);
    }

    #[test]
    fn only_the_shortest_form_is_a_number() {
        assert!(get(&[0x80, 0]).is_err());
        assert!(get(&[0xff, 0x80, 0]).is_err());
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(get(&bytes), Ok((u64::MAX, 10)));
        bytes[9] = 2;
        assert!(get(&bytes).is_err());
        bytes[9] = 0x81;
        assert!(get(&bytes).is_err());
        assert!(get(&[]).is_err());
    }
}
