//! Who goes for whom.

use proptest::prelude::*;

use super::*;

fn address(number: u8) -> IpAddr {
    [10, 0, 0, number].into()
}

/// A room in which guests are known by the order in which they came, from 0.
struct Tried {
    room: Room,
    numbers: Vec<u64>,
}

impl Tried {
    fn of(places: usize) -> Self {
        Tried { room: Room::new(places), numbers: Vec::new() }
    }

    /// Whether it was let in, and who went.
    fn enter(&mut self, origin: u8) -> Result<Option<usize>, ()> {
        let there: Vec<u64> = self.room.guests.keys().copied().collect();
        let (number, _) = self.room.enter(address(origin), CancellationToken::new()).ok_or(())?;
        let gone = there.iter().find(|number| !self.room.guests.contains_key(number));
        self.numbers.push(number);
        Ok(gone.map(|gone| self.numbers.iter().position(|number| number == gone).expect("it came")))
    }

    fn enter_all(&mut self, origins: &[u8]) {
        for origin in origins {
            self.enter(*origin).expect("there is room");
        }
    }

    fn note(&mut self, guest: usize, busy: bool) {
        self.room.note(self.numbers[guest], busy);
    }
}

#[test]
fn the_one_that_was_quiet_for_longest_goes() {
    let mut tried = Tried::of(3);
    tried.enter_all(&[1, 2, 3]);
    tried.note(0, true);
    tried.note(0, false);
    assert_eq!(tried.enter(4), Ok(Some(1)), "0 has had an answer since");
    tried.note(0, true);
    assert_eq!(tried.enter(5), Ok(Some(2)));
    assert_eq!(tried.enter(6), Ok(Some(3)), "0 has a request in work");
}

#[test]
fn nobody_goes_who_is_at_work_where_no_origin_has_more_than_half() {
    let mut tried = Tried::of(2);
    tried.enter_all(&[1, 2]);
    tried.note(0, true);
    tried.note(1, true);
    assert_eq!(tried.enter(3), Err(()));
    tried.room.leave(tried.numbers[0]);
    assert_eq!(tried.enter(3), Ok(None));
}

#[test]
fn an_origin_with_more_than_half_gives_way_first() {
    let mut tried = Tried::of(4);
    tried.enter_all(&[2, 1, 1, 1]);
    assert_eq!(tried.enter(3), Ok(Some(1)), "2's was quiet for longer");
    // Each has half or less now.
    assert_eq!(tried.enter(4), Ok(Some(0)));
}

#[test]
fn an_origin_with_more_than_half_gives_way_even_at_work_and_never_grows() {
    let mut tried = Tried::of(4);
    tried.enter_all(&[2, 1, 1, 1]);
    (1..4).for_each(|guest| tried.note(guest, true));
    // An answer counts, also where the next request has begun already.
    tried.note(1, true);
    assert_eq!(tried.enter(1), Err(()), "2's is quiet, and not for 1 to take");
    assert_eq!(tried.enter(3), Ok(Some(2)));
    assert_eq!(tried.enter(4), Ok(Some(0)), "1 has no more than half: now the quiet ones go");
}

#[test]
fn behind_a_gateway_the_quiet_go_and_who_is_at_work_stays() {
    let mut tried = Tried::of(3);
    tried.enter_all(&[1, 1, 1]);
    tried.note(0, true);
    assert_eq!(tried.enter(1), Ok(Some(1)));
    (2..4).for_each(|guest| tried.note(guest, true));
    assert_eq!(tried.enter(1), Err(()));
}

#[test]
fn an_origin_is_an_address_or_a_network_of_64_bits() {
    let of = |text: &str| origin(text.parse().expect("an address")).to_string();
    assert_eq!(of("10.1.2.3"), "10.1.2.3");
    assert_eq!(of("::ffff:10.1.2.3"), "10.1.2.3");
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8),
    Note(usize, bool),
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..4u8).prop_map(Step::Enter),
        3 => (0..40usize, any::<bool>()).prop_map(|(guest, busy)| Step::Note(guest, busy)),
        1 => (0..40usize).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    /// However they come, work and go: no more are in than there are places, nobody goes while there is room, an origin
    /// without anybody in is let in as long as anybody else is quiet, and nobody is listed who is not there.
    #[test]
    fn the_lists_are_of_those_who_are_in(steps in steps()) {
        let mut tried = Tried::of(6);
        for step in steps {
            match step {
                Step::Enter(from) => {
                    let full = tried.room.guests.len() == 6;
                    let stranger = !tried.room.origins.contains_key(&address(from));
                    let quiet = tried.room.guests.values().any(|guest| !guest.busy);
                    let crowd = tried.room.crowd.is_some();
                    match tried.enter(from) {
                        Ok(gone) => prop_assert_eq!(gone.is_some(), full),
                        Err(()) => prop_assert!(full && !(stranger && (quiet || crowd))),
                    }
                }
                Step::Note(guest, busy) if guest < tried.numbers.len() => tried.note(guest, busy),
                Step::Leave(guest) if guest < tried.numbers.len() => _ = tried.room.leave(tried.numbers[guest]),
                Step::Note(..) | Step::Leave(..) => {}
            }
            let room = &tried.room;
            prop_assert!(room.guests.len() <= 6);
            prop_assert_eq!(room.origins.values().map(Origin::len).sum::<usize>(), room.guests.len());
            let quiet = room.guests.values().filter(|guest| !guest.busy).count();
            prop_assert_eq!(room.quiet.len(), quiet);
            prop_assert_eq!(room.origins.values().map(|origin| origin.quiet.len()).sum::<usize>(), quiet);
            let crowd = room.origins.iter().find(|(_, origin)| origin.len() > 3).map(|(origin, _)| *origin);
            prop_assert_eq!(room.crowd, crowd);
        }
    }
}
