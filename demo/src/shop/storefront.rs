//! The healthy shop: what a mid-sized e-commerce site looks like behind its gateway.
//!
//! ```text
//! gateway ─ web-bff ┬ catalog ─ catalog-db, catalog-cache      ┬ payment ─ payment-db, api.paygate.example
//!                   ├ pricing ─ pricing-db, pricing-cache      ├ shipping ─ shipping-db, geo.maps.example
//!                   ├ inventory ─ inventory-db                 │
//!                   ├ search ─ search-index                    │
//!                   ├ recommendation ─ recommendation-db       │
//!                   ├ user ─ user-db, session-cache            │
//!                   ├ cart ─ cart-store                        │
//!                   └ order ─ order-db ────────────────────────┴ orders.placed ─▶ notification ─ sms.example
//! ```
//! At the default peak every station is well below half full, so that more load alone changes next to nothing.

use super::plan::{Cache, Call, Key, Language, Millis, Operation, Plan, Query, Service, Step, Store, ThirdParty};

/// The shop without any fault.
pub fn plan() -> Plan {
    Plan {
        services: services(),
        stores: stores(),
        entries: vec![
            ("GET /products/{id}", 0.34),
            ("GET /home", 0.22),
            ("GET /search", 0.16),
            ("POST /cart", 0.12),
            ("POST /order", 0.09),
            ("GET /account/orders", 0.07),
        ],
        regions: vec![("shenzhen", 0.35), ("hangzhou", 0.25), ("shanghai", 0.2), ("beijing", 0.12), ("chengdu", 0.08)],
        links: Vec::new(),
    }
}

fn services() -> Vec<Service> {
    vec![
        gateway(),
        web_bff(),
        catalog(),
        pricing(),
        inventory(),
        search(),
        recommendation(),
        user(),
        cart(),
        order(),
        payment(),
        shipping(),
        notification(),
    ]
}

fn gateway() -> Service {
    let forward = |to: &'static str| vec![compute(0.3), call("web-bff", to), compute(0.1)];
    Service {
        workers: 1_000,
        operations: vec![
            operation("GET /home", forward("GET /bff/home")),
            operation("GET /products/{id}", forward("GET /bff/products/{id}")),
            operation("GET /search", forward("GET /bff/search")),
            operation("POST /cart", forward("POST /bff/cart")),
            operation("POST /order", forward("POST /bff/order")),
            operation("GET /account/orders", forward("GET /bff/account/orders")),
        ],
        ..Service::usual("gateway", "2.11.0", Language::Cpp, 2)
    }
}

fn web_bff() -> Service {
    let page = |steps: Vec<Step>| {
        let mut page = vec![compute(0.8)];
        page.extend(steps);
        page.push(compute(1.0));
        page
    };
    let session = || call("user", "GET /users/{id}/session");
    let quote = || call("pricing", "pricing.Pricing/Quote");
    let featured = || vec![call("catalog", "GET /catalog/featured")];
    let suggestions = || vec![optional("recommendation", "GET /recommendations")];
    let product = || vec![call("catalog", "GET /catalog/products/{id}")];
    Service {
        workers: 500,
        operations: vec![
            operation("GET /bff/home", page(vec![Step::Fork(vec![featured(), suggestions()])])),
            operation(
                "GET /bff/products/{id}",
                page(vec![
                    Step::Fork(vec![product(), vec![quote()]]),
                    call("inventory", "inventory.Inventory/CheckAvailability"),
                ]),
            ),
            operation("GET /bff/search", page(vec![call("search", "GET /search/products"), quote()])),
            operation("POST /bff/cart", page(vec![session(), call("cart", "POST /carts/{id}/items")])),
            operation("POST /bff/order", page(vec![session(), call("order", "POST /orders")])),
            operation("GET /bff/account/orders", page(vec![session(), call("order", "GET /orders")])),
        ],
        ..Service::usual("web-bff", "5.3.1", Language::Node, 3)
    }
}

fn catalog() -> Service {
    let product = query(
        "catalog-db",
        "SELECT products",
        "SELECT id, title, brand, description, category_id FROM products WHERE id = $1",
        3.5,
    );
    let reviews = query(
        "catalog-db",
        "SELECT reviews",
        "SELECT rating, author, body FROM reviews WHERE product_id = $1 ORDER BY created_at DESC LIMIT 20",
        5.0,
    );
    let promotions = query(
        "catalog-db",
        "SELECT promotions",
        "SELECT id, banner, starts_at, ends_at FROM promotions WHERE active AND channel = $1",
        4.0,
    );
    Service {
        operations: vec![
            operation(
                "GET /catalog/products/{id}",
                vec![
                    compute(0.4),
                    Step::Transaction {
                        store: "catalog-db",
                        steps: vec![cache("catalog-cache", "GET", Key::Product, vec![product]), reviews, compute(1.2)],
                    },
                    compute(0.6),
                ],
            ),
            operation(
                "GET /catalog/featured",
                vec![compute(0.4), cache("catalog-cache", "MGET", Key::Product, vec![promotions]), compute(1.0)],
            ),
        ],
        ..Service::usual("catalog", "3.8.2", Language::Java, 2)
    }
}

fn pricing() -> Service {
    let rules = query(
        "pricing-db",
        "SELECT price_rules",
        "SELECT rule_id, kind, amount FROM price_rules WHERE product_id = $1 AND region = $2",
        4.0,
    );
    Service {
        operations: vec![operation(
            "pricing.Pricing/Quote",
            vec![compute(0.3), cache("pricing-cache", "GET", Key::Product, vec![rules]), compute(2.2)],
        )],
        ..Service::usual("pricing", "1.24.0", Language::Go, 3)
    }
}

fn inventory() -> Service {
    let stock = query(
        "inventory-db",
        "SELECT stock",
        "SELECT available, reserved FROM stock WHERE sku = $1 AND site = $2",
        2.5,
    );
    let take = query(
        "inventory-db",
        "UPDATE stock",
        "UPDATE stock SET available = available - $1, reserved = reserved + $1 WHERE sku = $2 AND available >= $1",
        5.0,
    );
    let keep = query(
        "inventory-db",
        "INSERT reservations",
        "INSERT INTO reservations (order_id, sku, quantity, expires_at) VALUES ($1, $2, $3, $4)",
        2.0,
    );
    Service {
        operations: vec![
            operation("inventory.Inventory/CheckAvailability", vec![compute(0.5), stock, compute(0.4)]),
            operation(
                "inventory.Inventory/Reserve",
                vec![compute(0.5), Step::Transaction { store: "inventory-db", steps: vec![take, keep] }, compute(0.3)],
            ),
        ],
        ..Service::usual("inventory", "2.2.7", Language::Java, 2)
    }
}

fn search() -> Service {
    let find = query(
        "search-index",
        "search products",
        "{\"query\":{\"multi_match\":{\"query\":?,\"fields\":[\"title^3\",\"brand\",\"description\"]}},\"size\":?}",
        9.0,
    );
    let rank = Step::Span { name: "rank results", steps: vec![compute(3.0)] };
    Service {
        operations: vec![operation("GET /search/products", vec![compute(0.6), find, rank, compute(0.4)])],
        ..Service::usual("search", "4.0.5", Language::Java, 2)
    }
}

fn recommendation() -> Service {
    let bought = query(
        "recommendation-db",
        "SELECT co_purchases",
        "SELECT other_id, weight FROM co_purchases WHERE product_id = ANY($1) ORDER BY weight DESC LIMIT 100",
        4.0,
    );
    let rank = Step::Span { name: "rank candidates", steps: vec![compute(5.0)] };
    Service {
        operations: vec![operation("GET /recommendations", vec![compute(0.5), bought, rank, compute(0.4)])],
        ..Service::usual("recommendation", "0.19.3", Language::Python, 2)
    }
}

fn user() -> Service {
    let session = query(
        "user-db",
        "SELECT sessions",
        "SELECT user_id, roles, preferences, expires_at FROM sessions WHERE token = $1",
        3.0,
    );
    Service {
        operations: vec![operation(
            "GET /users/{id}/session",
            vec![compute(0.4), cache("session-cache", "GET", Key::User, vec![session]), compute(0.5)],
        )],
        ..Service::usual("user", "6.1.0", Language::Java, 2)
    }
}

fn cart() -> Service {
    Service {
        operations: vec![
            operation(
                "POST /carts/{id}/items",
                vec![
                    compute(0.5),
                    lookup("cart-store", "HGETALL"),
                    call("pricing", "pricing.Pricing/Quote"),
                    call("inventory", "inventory.Inventory/CheckAvailability"),
                    compute(0.6),
                    lookup("cart-store", "HSET"),
                ],
            ),
            operation("GET /carts/{id}", vec![compute(0.4), lookup("cart-store", "HGETALL"), compute(0.4)]),
        ],
        ..Service::usual("cart", "3.1.4", Language::Node, 2)
    }
}

fn order() -> Service {
    let history = query(
        "order-db",
        "SELECT orders",
        "SELECT id, placed_at, status, total FROM orders WHERE user_id = ? ORDER BY placed_at DESC LIMIT 20",
        5.0,
    );
    let insert = query(
        "order-db",
        "INSERT orders",
        "INSERT INTO orders (id, user_id, total, currency, status) VALUES (?, ?, ?, ?, 'placed')",
        4.0,
    );
    let items = query(
        "order-db",
        "INSERT order_items",
        "INSERT INTO order_items (order_id, sku, quantity, unit_price) VALUES (?, ?, ?, ?), (?, ?, ?, ?)",
        3.0,
    );
    Service {
        operations: vec![
            operation(
                "POST /orders",
                vec![
                    compute(1.2),
                    call("cart", "GET /carts/{id}"),
                    call("pricing", "pricing.Pricing/Quote"),
                    call("inventory", "inventory.Inventory/Reserve"),
                    call("payment", "payment.Payment/Charge"),
                    Step::Transaction { store: "order-db", steps: vec![insert, items] },
                    call("shipping", "POST /shipments"),
                    Step::Publish { topic: "orders.placed" },
                    compute(0.6),
                ],
            ),
            operation("GET /orders", vec![compute(0.6), history, compute(1.0)]),
        ],
        ..Service::usual("order", "7.5.0", Language::Java, 2)
    }
}

fn payment() -> Service {
    let begin = query(
        "payment-db",
        "INSERT payments",
        "INSERT INTO payments (id, order_id, amount, currency, state) VALUES ($1, $2, $3, $4, 'pending')",
        3.0,
    );
    let done =
        query("payment-db", "UPDATE payments", "UPDATE payments SET state = $1, provider_ref = $2 WHERE id = $3", 3.0);
    Service {
        operations: vec![operation(
            "payment.Payment/Charge",
            vec![compute(0.8), begin, third_party("api.paygate.example", "POST /v1/charges", 55.0), done, compute(0.4)],
        )],
        ..Service::usual("payment", "2.9.1", Language::Java, 2)
    }
}

fn shipping() -> Service {
    let insert = query(
        "shipping-db",
        "INSERT shipments",
        "INSERT INTO shipments (id, order_id, address, carrier) VALUES ($1, $2, $3, $4)",
        3.0,
    );
    Service {
        operations: vec![operation(
            "POST /shipments",
            vec![compute(0.8), third_party("geo.maps.example", "GET /v1/geocode", 18.0), insert, compute(0.3)],
        )],
        ..Service::usual("shipping", "1.6.2", Language::Python, 2)
    }
}

fn notification() -> Service {
    let insert = query(
        "notification-db",
        "INSERT notifications",
        "INSERT INTO notifications (id, user_id, channel, template) VALUES ($1, $2, $3, $4)",
        2.5,
    );
    Service {
        workers: 8,
        operations: vec![operation(
            "process orders.placed",
            vec![compute(0.8), third_party("sms.example", "POST /messages", 60.0), insert],
        )],
        ..Service::usual("notification", "1.2.0", Language::Java, 2)
    }
}

fn stores() -> Vec<Store> {
    let sql = |name, namespace| Store { name, system: "postgresql", namespace, port: 5432, cores: 8, pooled: true };
    let redis = |name| Store { name, system: "redis", namespace: "0", port: 6379, cores: 4, pooled: false };
    vec![
        sql("catalog-db", "catalog"),
        sql("pricing-db", "pricing"),
        sql("inventory-db", "inventory"),
        sql("recommendation-db", "recommendation"),
        sql("user-db", "users"),
        Store { system: "mysql", port: 3306, ..sql("order-db", "orders") },
        sql("payment-db", "payments"),
        sql("shipping-db", "shipping"),
        sql("notification-db", "notifications"),
        Store {
            name: "search-index",
            system: "opensearch",
            namespace: "products",
            port: 9200,
            cores: 8,
            pooled: false,
        },
        redis("catalog-cache"),
        redis("pricing-cache"),
        redis("session-cache"),
        redis("cart-store"),
    ]
}

fn operation(name: &'static str, steps: Vec<Step>) -> Operation {
    Operation { name, steps }
}

fn compute(time: Millis) -> Step {
    Step::Compute(time)
}

fn query(store: &'static str, summary: &'static str, text: &'static str, time: Millis) -> Step {
    Step::Query(Query { store, summary, text, time, exclusive: None })
}

fn cache(store: &'static str, command: &'static str, key: Key, miss: Vec<Step>) -> Step {
    Step::Cache(Cache { store, command, key, entries: usize::MAX, expired: 0.04, miss })
}

/// A use of a key-value store that always finds what it wants.
fn lookup(store: &'static str, command: &'static str) -> Step {
    let cache = Cache { store, command, key: Key::User, entries: usize::MAX, expired: 0.0, miss: Vec::new() };
    Step::Cache(cache)
}

fn call(service: &'static str, operation: &'static str) -> Step {
    Step::Call(Call { service, operation, timeout: 30_000.0, attempts: 1, optional: false })
}

fn optional(service: &'static str, operation: &'static str) -> Step {
    Step::Call(Call { service, operation, timeout: 30_000.0, attempts: 1, optional: true })
}

fn third_party(host: &'static str, operation: &'static str, time: Millis) -> Step {
    Step::ThirdParty(ThirdParty { host, operation, time, limit: 256 })
}
