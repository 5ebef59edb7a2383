-- A small shop with the types that real ones have.

CREATE TYPE order_status AS ENUM ('new', 'paid', 'shipped', 'delivered', 'cancelled');

CREATE TABLE customers (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	ref        uuid NOT NULL DEFAULT gen_random_uuid(),
	name       text NOT NULL,
	city       text,
	newsletter boolean NOT NULL DEFAULT false,
	interests  text[] NOT NULL DEFAULT '{}',
	profile    jsonb NOT NULL DEFAULT '{}',
	joined_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
	sku         text PRIMARY KEY,
	name        text NOT NULL,
	price       numeric(10, 2) NOT NULL,
	stock       integer NOT NULL,
	weight      double precision,
	description text NOT NULL, -- where it is long, it is stored out of line
	changed_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id  bigint NOT NULL REFERENCES customers,
	status       order_status NOT NULL DEFAULT 'new',
	total        numeric(12, 2) NOT NULL DEFAULT 0,
	currency     char(3) NOT NULL DEFAULT 'EUR',
	placed_at    timestamptz NOT NULL DEFAULT now(),
	delivered_on date,
	note         text
);

CREATE TABLE order_items (
	order_id bigint NOT NULL REFERENCES orders ON DELETE CASCADE,
	line     smallint NOT NULL,
	sku      text NOT NULL REFERENCES products ON UPDATE CASCADE,
	quantity integer NOT NULL,
	price    numeric(10, 2) NOT NULL,
	PRIMARY KEY (order_id, line)
);
CREATE INDEX ON order_items (sku);

SELECT setseed(0.5);

INSERT INTO customers (name, city, newsletter, interests, profile, joined_at)
SELECT
	(ARRAY['Zoë', 'José', 'Søren', 'Łucja', 'Мария', 'Αλέξης', '小龙', '서연', 'عمر', 'Ann "Q." O''Neil'])[1 + n % 10] || ' ' || n,
	(ARRAY['Kraków', 'São Paulo', '東京', 'Zürich', NULL])[1 + n % 5],
	n % 3 = 0,
	(ARRAY['{}', '{tea}', '{tea,"with, comma"}', '{NULL,čaj}'])[1 + n % 4]::text[],
	jsonb_build_object('tier', n % 4, 'language', 'de', 'note', CASE WHEN n % 7 = 0 THEN '☕ first' END),
	now() - random() * interval '900 days'
FROM generate_series(1, current_setting('demo.customers')::int) n;

INSERT INTO products (sku, name, price, stock, weight, description)
SELECT
	'P' || lpad(n::text, 6, '0'), 'Product № ' || n, round((1 + random() * 200)::numeric, 2), 1000000,
	CASE WHEN n % 9 > 0 THEN round((random() * 20)::numeric, 2) END,
	CASE WHEN n % 10 = 0
		THEN (SELECT string_agg(md5(n::text || i::text), ' ') FROM generate_series(1, 150) i)
		ELSE 'short'
	END
FROM generate_series(1, current_setting('demo.products')::int) n;

INSERT INTO orders (customer_id, status, placed_at, delivered_on, note)
SELECT
	1 + (random() * (current_setting('demo.customers')::int - 1))::int,
	(enum_range(NULL::order_status))[1 + (random() * 4)::int],
	now() - random() * random() * interval '90 days',
	CASE WHEN n % 4 = 0 THEN current_date - n % 90 END,
	CASE WHEN n % 20 = 0 THEN E'tab\there, Größe "M" \\' END
FROM generate_series(1, current_setting('demo.orders')::int) n;

INSERT INTO order_items (order_id, line, sku, quantity, price)
SELECT o, line, 'P' || lpad((1 + (o * 7 + line * 13) % current_setting('demo.products')::int)::text, 6, '0'), 1 + o % 3, 1 + o % 100
FROM generate_series(1, current_setting('demo.orders')::int) o, generate_series(1, 1 + o % 3) line;

UPDATE orders SET total = i.total
FROM (SELECT order_id, sum(quantity * price) AS total FROM order_items GROUP BY order_id) i
WHERE i.order_id = id;

ANALYZE;
