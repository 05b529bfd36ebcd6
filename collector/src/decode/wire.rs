//! The protobuf wire format: one field after the other out of a byte slice, nothing copied.
//!
//! Source: protobuf.dev, "Encoding". A [`Cursor`] never reads outside its slice, so a message that is broken inside
//! cannot harm what stands behind it. Fields of every wire type can be skipped, groups included, without recursion.

/// Where the bytes stop being protobuf. `at` is an address, so that nested cursors need no offsets of their own;
/// [`Malformed::offset_in`] turns it into a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    at: usize,
    pub expected: &'static str,
}

impl Malformed {
    pub fn new(at: &[u8], expected: &'static str) -> Self {
        Malformed { at: at.as_ptr() as usize, expected }
    }

    /// The byte offset within `body`, which the broken bytes are part of.
    pub fn offset_in(self, body: &[u8]) -> usize {
        self.at.saturating_sub(body.as_ptr() as usize).min(body.len())
    }
}

pub(super) type Walk<T> = Result<T, Malformed>;

/// Groups open inside each other. protobuf's own parsers stop at 100; without an end, each byte of a body would take
/// four of ours.
const MOST_OPEN_GROUPS: usize = 10_000;

/// What stood in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    /// A group, already skipped: no OTLP message has one.
    Group,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    pub number: u32,
    pub value: Value<'a>,
    at: usize,
}

impl<'a> Field<'a> {
    fn wrong<T>(&self, expected: &'static str) -> Walk<T> {
        Err(Malformed { at: self.at, expected })
    }

    #[inline]
    pub fn bytes(&self) -> Walk<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => self.wrong("a length-delimited field"),
        }
    }

    #[inline]
    pub fn varint(&self) -> Walk<u64> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => self.wrong("a varint field"),
        }
    }

    /// `uint32`: the low 32 bits, as every protobuf implementation reads it.
    #[inline]
    pub fn uint32(&self) -> Walk<u32> {
        Ok(self.varint()? as u32)
    }

    /// `int32` and enums.
    #[inline]
    pub fn int32(&self) -> Walk<i32> {
        Ok(self.varint()? as i32)
    }

    /// `sint32`, zigzag.
    pub fn sint32(&self) -> Walk<i32> {
        let raw = self.uint32()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    #[inline]
    pub fn fixed64(&self) -> Walk<u64> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => self.wrong("a 64-bit field"),
        }
    }

    pub fn double(&self) -> Walk<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    #[inline]
    pub fn fixed32(&self) -> Walk<u32> {
        match self.value {
            Value::Fixed32(value) => Ok(value),
            _ => self.wrong("a 32-bit field"),
        }
    }

    /// A repeated `fixed64` (or `double`, as bits): packed or one by one.
    pub fn each_fixed64(&self, mut take: impl FnMut(u64)) -> Walk<()> {
        let Value::Bytes(packed) = self.value else {
            take(self.fixed64()?);
            return Ok(());
        };
        let (chunks, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return self.wrong("packed 64-bit values");
        }
        chunks.iter().for_each(|chunk| take(u64::from_le_bytes(*chunk)));
        Ok(())
    }

    /// A repeated `uint64`: packed or one by one.
    pub fn each_varint(&self, mut take: impl FnMut(u64)) -> Walk<()> {
        let Value::Bytes(packed) = self.value else {
            take(self.varint()?);
            return Ok(());
        };
        let mut cursor = Cursor::new(packed);
        while !cursor.is_empty() {
            take(cursor.varint()?);
        }
        Ok(())
    }
}

/// Reads fields from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next field, or `None` at the end of the message.
    #[inline(always)]
    pub fn next(&mut self) -> Walk<Option<Field<'a>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let at = self.rest;
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array("8 bytes of a 64-bit field")?)),
            2 => Value::Bytes(self.delimited()?),
            3 => {
                self.skip_group(number)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array("4 bytes of a 32-bit field")?)),
            _ => return Err(Malformed::new(at, "a field with a known wire type")),
        };
        Ok(Some(Field { number, value, at: at.as_ptr() as usize }))
    }

    #[inline(always)]
    fn tag(&mut self) -> Walk<(u32, u8)> {
        let at = self.rest;
        let tag = self.varint()?;
        match u32::try_from(tag) {
            Ok(tag) if tag >= 8 => Ok((tag >> 3, (tag & 7) as u8)),
            _ => Err(Malformed::new(at, "a field number from 1 to 536870911")),
        }
    }

    #[inline(always)]
    fn varint(&mut self) -> Walk<u64> {
        match *self.rest {
            [first, ref rest @ ..] if first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            [first, second, ref rest @ ..] if second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Walk<u64> {
        let mut value = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::new(self.rest, "a varint of at most 64 bits"))
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self, expected: &'static str) -> Walk<[u8; N]> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Malformed::new(self.rest, expected));
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline(always)]
    fn delimited(&mut self) -> Walk<&'a [u8]> {
        let at = self.rest;
        let len = self.varint()?;
        match usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len)) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(Malformed::new(at, "a length within the enclosing message")),
        }
    }

    /// Skips to behind the end of a group that was just opened. The groups open inside it are kept on a stack of
    /// their own, so no input can exhaust ours.
    fn skip_group(&mut self, number: u32) -> Walk<()> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            let at = self.rest;
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>("8 bytes of a 64-bit field")?),
                2 => drop(self.delimited()?),
                3 if open.len() < MOST_OPEN_GROUPS => open.push(number),
                3 => return Err(Malformed::new(at, "no more groups inside each other")),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.array::<4>("4 bytes of a 32-bit field")?),
                _ => return Err(Malformed::new(at, "the end of the open group")),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Walk<Vec<(u32, Value<'_>)>> {
        let mut cursor = Cursor::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = cursor.next()? {
            fields.push((field.number, field.value));
        }
        Ok(fields)
    }

    #[test]
    fn the_examples_of_the_encoding_guide_read_as_it_says() {
        // protobuf.dev "Encoding": field 1 = 150; field 2 = "testing".
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Varint(150))]));
        assert_eq!(all(b"\x12\x07testing"), Ok(vec![(2, Value::Bytes(b"testing"))]));
        // Packed field 6 with 3, 270 and 86942.
        let mut numbers = Vec::new();
        let packed = [0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05];
        let field = Cursor::new(&packed).next().expect("valid").expect("one field");
        field.each_varint(|n| numbers.push(n)).expect("valid");
        assert_eq!(numbers, [3, 270, 86942]);
    }

    #[test]
    fn negative_and_zigzag_numbers() {
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let field = Cursor::new(&minus_one).next().expect("valid").expect("one field");
        assert_eq!(field.int32(), Ok(-1));
        for (encoded, value) in [(0u8, 0), (1, -1), (2, 1), (3, -2)] {
            let bytes = [0x08, encoded];
            assert_eq!(Cursor::new(&bytes).next().expect("valid").expect("one").sint32(), Ok(value));
        }
    }

    #[test]
    fn groups_are_skipped_however_deep_and_must_match() {
        let nested = [0x0b, 0x13, 0x08, 0x01, 0x14, 0x0c, 0x10, 0x07];
        assert_eq!(all(&nested), Ok(vec![(1, Value::Group), (2, Value::Varint(7))]));
        let deep = |levels| -> Vec<u8> {
            std::iter::repeat_n(0x0b, levels).chain(std::iter::repeat_n(0x0c, levels)).collect()
        };
        assert_eq!(all(&deep(MOST_OPEN_GROUPS)), Ok(vec![(1, Value::Group)]));
        assert!(all(&deep(MOST_OPEN_GROUPS + 1)).is_err(), "deeper than we keep track of");
        assert!(all(&[0x0b, 0x14]).is_err(), "another group's end");
        assert!(all(&[0x0b]).is_err(), "no end");
        assert!(all(&[0x0c]).is_err(), "an end without a start");
    }

    #[test]
    fn broken_framing_names_the_byte() {
        let body = [0x08, 0x01, 0x12, 0x05, 0x00];
        let mut cursor = Cursor::new(&body);
        assert!(cursor.next().is_ok());
        let broken = cursor.next().expect_err("five bytes are promised, one is there");
        assert_eq!((broken.offset_in(&body), broken.expected), (3, "a length within the enclosing message"));
        assert!(all(&[0x00]).is_err(), "field number 0");
        assert!(all(&[0x0f]).is_err(), "wire type 7");
        assert!(all(&[0x08; 1]).is_err(), "no varint");
        assert!(all(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).is_err(), "65 bits");
    }
}
