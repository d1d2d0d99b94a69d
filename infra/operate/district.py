"""A real-looking police district around Quito: people, ranks, stations, positions. All of it is invented.

Pure: the same seed gives the same officers, and a longer district begins with the shorter one.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from infra.client.people import NewOfficer, NewUser, Place

COUNT = 10_000
SEED = 1830  # the republic's first year; any number does


@dataclass(frozen=True)
class Station:
    """A community police unit and where it stands (degrees, WGS 84; read off a map to about 200 m)."""

    name: str
    lat: float
    lon: float


STATIONS = (
    Station("Centro Histórico", -0.2200, -78.5120),
    Station("La Mariscal", -0.2030, -78.4900),
    Station("Iñaquito", -0.1760, -78.4850),
    Station("La Magdalena", -0.2440, -78.5300),
    Station("Solanda", -0.2680, -78.5430),
    Station("Chillogallo", -0.2790, -78.5580),
    Station("Quitumbe", -0.2960, -78.5540),
    Station("Guamaní", -0.3310, -78.5530),
    Station("Cotocollao", -0.1110, -78.4950),
    Station("Carcelén", -0.0900, -78.4720),
    Station("Calderón", -0.0960, -78.4220),
    Station("Pomasqui", -0.0510, -78.4560),
    Station("San Antonio de Pichincha", -0.0090, -78.4460),
    Station("Nayón", -0.1600, -78.4390),
    Station("Cumbayá", -0.2010, -78.4320),
    Station("Tumbaco", -0.2130, -78.3990),
    Station("Puembo", -0.1780, -78.3580),
    Station("Tababela", -0.1810, -78.3420),
    Station("Conocoto", -0.2900, -78.4790),
    Station("Sangolquí", -0.3340, -78.4480),
)
SECTORS = 6  # patrol sectors around each station
SECTOR_M = (500.0, 1800.0)  # how far a sector's centre is from its station
SPREAD_M = 220.0  # standard deviation of officers around their sector's centre

_MEN = """
    Luis Carlos José Juan Ángel Segundo Jorge Manuel Diego Wilson Edison Freddy Byron Darwin Cristian
    Stalin Patricio Marco Fabián Galo Rodrigo Washington Iván Klever Franklin Vinicio Henry Bolívar
    Ramiro Milton
"""
MEN = tuple(_MEN.split())
_WOMEN = """
    María Rosa Carmen Ana Luz Gabriela Verónica Diana Paola Jenny Sandra Mayra Johanna Lorena Nelly
    Gladys Blanca Mónica Silvia Narcisa Tatiana Magaly Karina Ximena Zoila Fernanda Alexandra Daysi
    Mercedes Lourdes
"""
WOMEN = tuple(_WOMEN.split())
_SURNAMES = """
    Quishpe Guamán Chiluisa Tipán Caiza Pilataxi Toapanta Simbaña Morocho Yánez Andrade Zambrano
    Cevallos Mendoza Villacís Paredes Salazar Proaño Cárdenas Espinosa Jaramillo Vallejo Carrión Loor
    Moreira Alcívar Quinde Sarango Chamba Cuenca Ordóñez Vásquez Peralta Naranjo Tituaña Collaguazo Lema
    Farinango Cachimuel Anrango Imbaquingo Chicaiza Llumiquinga Pillajo Gualotuña Ñacato Aguirre
    Benalcázar Montenegro Rosero
"""
SURNAMES = tuple(_SURNAMES.split())
RANKS = (  # and how many of a thousand hold them
    ("Policía", 420),
    ("Cabo segundo", 190),
    ("Cabo primero", 140),
    ("Sargento segundo", 95),
    ("Sargento primero", 60),
    ("Suboficial segundo", 30),
    ("Suboficial primero", 15),
    ("Subteniente", 20),
    ("Teniente", 15),
    ("Capitán", 9),
    ("Mayor", 5),
    ("Teniente coronel", 1),
)
SPECIALTIES = (
    ("Patrullaje motorizado", 330),
    ("Patrullaje a pie", 260),
    ("Tránsito", 120),
    ("Policía comunitaria", 110),
    ("Investigación judicial", 70),
    ("Mantenimiento del orden", 50),
    ("Antinarcóticos", 30),
    ("Violencia intrafamiliar", 20),
    ("Guías caninos", 10),
)
PROVINCES = (
    ("17", 70),
    ("05", 8),
    ("06", 6),
    ("10", 6),
    ("18", 5),
    ("11", 3),
    ("13", 2),
)  # percent born there

EARTH_M = 6_371_009.0  # mean radius; a demo needs no spheroid


@dataclass(frozen=True)
class DemoOfficer:
    """One officer of the district. `seen_ago_s` is how old the position is when it is loaded."""

    internal_code: str
    email: str
    first_name: str
    last_name: str
    dni: str
    phone: str
    rank: str
    unit: str
    specialty: str
    lat: float
    lon: float
    seen_ago_s: int

    def body(self, now: datetime) -> NewOfficer:
        """Officer and person in one request, so that neither is left alone."""
        seen = (now - timedelta(seconds=self.seen_ago_s)).replace(microsecond=0)
        return NewOfficer(
            internal_code=self.internal_code,
            rank=self.rank,
            unit=self.unit,
            specialty=self.specialty,
            position=Place(lat=self.lat, lon=self.lon, at=seen),
            person=NewUser(
                email=self.email,
                first_name=self.first_name,
                last_name=self.last_name,
                dni=self.dni,
                phone=self.phone,
            ),
        )


def internal_code(number: int) -> str:
    """Of the district's officer with this number, from 1."""
    return f"UIO-{number:05d}"


def cedula(province: str, serial: int) -> str:
    """An Ecuadorian identity number with a valid check digit; `serial` is 0 to 5,999,999."""
    digits = f"{province}{serial:07d}"
    total = 0
    for index, digit in enumerate(map(int, digits)):
        doubled = digit * 2 if index % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return f"{digits}{-total % 10}"


def district(count: int = COUNT, seed: int = SEED) -> Iterator[DemoOfficer]:
    """The first `count` officers of the district that `seed` describes."""
    sectors = {station.name: list(_sectors(station, seed)) for station in STATIONS}
    offset = Random(f"{seed}:serial").randrange(_SERIALS)  # noqa: S311 - scenery, not secrets
    for number in range(1, count + 1):
        yield _officer(number, seed, offset, sectors)


_SERIALS = 6_000_000  # third digit 0 to 5, then six more
_STRIDE = 7919  # prime and no divisor of _SERIALS: serials repeat only after all were used


def _officer(
    number: int, seed: int, offset: int, sectors: dict[str, list[tuple[float, float]]]
) -> DemoOfficer:
    chance = Random(f"{seed}:{number}")  # noqa: S311 - scenery, not secrets
    names = WOMEN if chance.random() < 0.3 else MEN
    first, second = chance.sample(names, 2)
    father, mother = chance.sample(SURNAMES, 2)
    station = chance.choice(STATIONS)
    centre = chance.choice(sectors[station.name])
    lat, lon = _moved(*centre, metres=abs(chance.gauss(0, SPREAD_M)), bearing=chance.uniform(0, math.tau))
    return DemoOfficer(
        internal_code=internal_code(number),
        email=f"{_plain(first)}.{_plain(father)}.{number}@distrito.example",
        first_name=f"{first} {second}",
        last_name=f"{father} {mother}",
        dni=cedula(_weighted(chance, PROVINCES), (offset + number * _STRIDE) % _SERIALS),
        phone=f"+5939{chance.randrange(10**8):08d}",
        rank=_weighted(chance, RANKS),
        unit=f"UPC {station.name}",
        specialty=_weighted(chance, SPECIALTIES),
        lat=round(lat, 6),
        lon=round(lon, 6),
        seen_ago_s=chance.randrange(60, 20 * 60),
    )


def _sectors(station: Station, seed: int) -> Iterator[tuple[float, float]]:
    chance = Random(f"{seed}:{station.name}")  # noqa: S311 - scenery, not secrets
    for index in range(SECTORS):
        bearing = math.tau * (index + chance.uniform(-0.3, 0.3)) / SECTORS
        yield _moved(station.lat, station.lon, metres=chance.uniform(*SECTOR_M), bearing=bearing)


def _moved(lat: float, lon: float, *, metres: float, bearing: float) -> tuple[float, float]:
    north, east = metres * math.cos(bearing), metres * math.sin(bearing)
    return (
        lat + math.degrees(north / EARTH_M),
        lon + math.degrees(east / (EARTH_M * math.cos(math.radians(lat)))),
    )


def _weighted(chance: Random, table: tuple[tuple[str, int], ...]) -> str:
    return chance.choices([name for name, _ in table], [weight for _, weight in table])[0]


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
