use super::book::Book;

fn add(book: &mut Book, text: &str, tags: &[&str]) -> Result<u64, String> {
    let tags = tags.iter().map(|&tag| tag.to_owned()).collect();
    book.add(None, text.to_owned(), tags).map(|note| note.id)
}

#[test]
fn numbers_are_never_given_twice() {
    let mut book = Book::default();
    assert_eq!(add(&mut book, "one", &[]), Ok(1));
    assert_eq!(add(&mut book, "two", &[]), Ok(2));
    assert_eq!(book.remove(2).unwrap().1, 1);
    assert_eq!(add(&mut book, "three", &[]), Ok(3));
    assert_eq!(book.remove(2).unwrap_err(), "there is no note 2");
}

#[test]
fn search_wants_every_word_somewhere() {
    let mut book = Book::default();
    add(&mut book, "Buy milk and bread", &["shop"]).unwrap();
    add(&mut book, "Milk the goat", &["farm"]).unwrap();
    for (query, found) in [
        ("milk", vec![1, 2]),
        ("MILK bread", vec![1]),
        ("milk farm", vec![2]),
        ("milk honey", vec![]),
        ("", vec![1, 2]),
    ] {
        let ids: Vec<u64> = book.search(query).iter().map(|note| note.id).collect();
        assert_eq!(ids, found, "{query}");
    }
    assert_eq!(book.tagged(Some("farm")).len(), 1);
    assert_eq!(book.tagged(None).len(), 2);
}

#[test]
fn bounds_are_named_in_the_refusal() {
    let mut book = Book::default();
    assert_eq!(add(&mut book, " \n", &[]).unwrap_err(), "a note needs some text");
    let long = "x".repeat(20_000);
    assert_eq!(
        add(&mut book, &long, &[]).unwrap_err(),
        "a note may have 16384 bytes, this one has 20000"
    );
    for _ in 0..1_000 {
        add(&mut book, "x", &[]).unwrap();
    }
    assert_eq!(
        add(&mut book, "x", &[]).unwrap_err(),
        "the book is full (1000 notes): remove one first"
    );
}
