"""The hand-written English core vocabulary: data for `lexicon`.

Notation: `word/form` has an irregular plural or past, `_` joins the words of a multi-word unit
(`well_known`), and `word=stem` sets the Selvan stem, of one or several words, of which the last is
inflected. Other stems are invented. Within a list, earlier words are more frequent.
"""

TOPICS = ("wild", "town", "sea", "stage")

# Nouns without a topic, by kind.
NOUNS = {
    "person": "man/men woman/women child/children king queen friend boy girl "
    "neighbor teacher prince princess guest stranger cousin brother sister uncle aunt doctor "
    "thief/thieves nurse judge soldier guard student poet painter cook servant widow "
    "twin=par_zemel "
    "orphan=fil_solit wizard witch giant dwarf/dwarves nun monk bride=nov_sposet "
    "grandfather grandmother "
    "night_watchman/night_watchmen=noxvard blacksmith=mestr_fergar fortune_teller=sortal "
    "baby_sitter=infgard shop_assistant=bodhelp chimney_sweep=fumnet bus_driver=buskond "
    "next_door_neighbor=apudan bookseller=mark_di_libar beginner=nov_artal",
    "animal": "dog cat horse sheep/sheep goose/geese mouse/mice cow goat pig donkey rabbit hen "
    "rooster pigeon parrot hamster pony mule lamb kitten puppy watch_dog=vardhund "
    "guinea_pig=porset "
    "race_horse=kurkaval lap_dog=gremhund carrier_pigeon=postkolumb",
    "thing": "book=libr house door lamp table chair box knife/knives cup bottle mirror clock "
    "hat coat shoe "
    "wheel bell candle map basket carpet window wall ladder rope hammer needle blanket "
    "pillow=pulvin kettle "
    "spoon umbrella wallet bicycle cart wagon picture photograph telescope sewing_machine=suvil "
    "walking_stick=baston rocking_chair=balsel music_box/music_boxes=sonark fire_engine=flamvagon "
    "alarm_clock=vekhor coffee_pot=kafkan wheelchair=sed_di_rotar handkerchief=drap_di_nasar "
    "fountain=jet_di_akvar hot_air_balloon=erbal chest_of_drawers/chests_of_drawers=komod "
    "Christmas_tree=julab paper_clip=klem house_of_cards/houses_of_cards=kartdom",
    "food": "bread cake apple soup=brodul cheese egg pie pear plum honey butter "
    "sausage cookie pancake onion "
    "potato/potatoes carrot pumpkin ice_cream=glas apple_pie=pomtart scrambled_egg=omlet "
    "cup_of_tea/cups_of_tea=teset loaf_of_bread/loaves_of_bread=bulk strawberry=ber_di_terar",
    "place": "garden kitchen cellar church=kirk school tower castle village bridge road gate",
}

# Nouns of a topic, which decide the sense of ambiguous nouns.
CUES = {
    "wild": {
        "person": "hunter shepherd farmer forester woodcutter=sek_di_lignar beekeeper=gard_di_apar",
        "animal": "wolf/wolves fox bear deer/deer rabbit_hound=lephund owl squirrel",
        "thing": "tent axe wild_rose=rozel bonfire=fok_di_sovar",
        "place": "forest meadow valley hill marsh clearing mountain river_bed=alv orchard",
    },
    "town": {
        "person": "merchant clerk tailor banker mayor mason barber watchmaker=mestr_di_horar",
        "animal": "street_dog=vihund alley_cat=vikat",
        "thing": "coin newspaper ledger typewriter street_lamp=vilum",
        "place": "market square workshop office street factory town_hall=urbdom "
        "railway_station=ferstat shop coffee_house=kafdom",
    },
    "sea": {
        "person": "sailor fisherman/fishermen captain pirate diver lighthouse_keeper=farvard",
        "animal": "whale shark crab gull dolphin octopus",
        "thing": "anchor sail net oar rowing_boat=remet life_belt=salvring",
        "place": "harbor beach island ship lighthouse=turn_di_lumar shipyard lagoon",
    },
    "stage": {
        "person": "singer dancer actor violinist conductor=gid_di_musar clown magician "
        "tightrope_walker=funal",
        "animal": "circus_horse=zirkaval dancing_bear=balurs",
        "thing": "violin flute mask costume drum grand_piano=klavon",
        "place": "theater opera ballroom circus concert_hall=konsal music_school=musol palace",
    },
}

# One English word, two Selvan nouns; the topic of the sentence decides.
AMBIGUOUS = {
    "thing": {
        "bank": ("wild", "town"),
        "spring": ("wild", "town"),
        "trunk": ("wild", "town"),
        "pen": ("wild", "town"),
        "plant": ("wild", "town"),
        "mint": ("wild", "town"),
        "bill": ("wild", "town"),
        "branch": ("wild", "town"),
        "bark": ("wild", "sea"),
        "log": ("wild", "sea"),
        "bow": ("wild", "stage"),
        "horn": ("wild", "stage"),
        "staff": ("wild", "stage"),
        "trap": ("wild", "stage"),
        "port": ("sea", "town"),
        "sole": ("sea", "town"),
        "deck": ("sea", "town"),
        "board": ("sea", "town"),
        "scale": ("sea", "stage"),
        "cape": ("sea", "stage"),
        "pitch": ("sea", "stage"),
        "line": ("sea", "stage"),
        "rock": ("sea", "stage"),
        "note": ("town", "stage"),
        "key": ("town", "stage"),
        "part": ("town", "stage"),
    },
    "animal": {
        "crane": ("wild", "town"),
        "seal": ("sea", "town"),
        "mole": ("wild", "sea"),
        "bass": ("sea", "stage"),
        "perch": ("wild", "sea"),
    },
    "person": {
        "pupil": ("town", "stage"),
        "pilot": ("sea", "town"),
        "guide": ("wild", "town"),
        "master": ("sea", "stage"),
        "hand": ("wild", "sea"),
    },
}

# Adjectives, by the kinds of noun they describe; `any` is all kinds but places.
ADJECTIVES = {
    "any": "small big beautiful strange famous white black gray lost forgotten ugly tiny "
    "little_known=obskur",
    "person": "young happy poor rich brave lazy clever kind angry tired proud "
    "honest lonely shy cruel "
    "polite well_known=nomat good_looking=belvis left_handed=sinman hard_working=labrem "
    "absent_minded=distral short_sighted=mirk kind_hearted=bonkor red_haired=rufin "
    "seasick=mald_marik "
    "homeless=sans_domar",
    "animal": "hungry tame wild thirsty lame spotted fat short_legged=kurtgam long_haired=villat "
    "barefoot=sans_shular",
    "thing": "new broken red blue green yellow golden silver wooden empty dirty expensive cheap "
    "round square_shaped=kvadrat worn_out=usad hand_made=manfar second_hand=reman "
    "brand_new=ek_novar priceless=sans_prezar waterproof=kontra_akvar",
    "food": "fresh sweet bitter warm delicious sour burnt home_made=domfar mouth_watering=gustor "
    "tasteless=sans_gustar",
    "place": "dark quiet cold distant narrow abandoned crowded sunny far_away=lontan "
    "well_lit=klarlum underground=sub_terrar",
}
# English adjectives with one Selvan word for persons and animals and another for the rest.
SPLIT_ADJECTIVES = "old bright heavy sharp fine hard soft"

# Verbs by the kinds they take: (subjects, objects) -> words.
TRANSITIVE = {
    (
        "person",
        "person animal thing food place",
    ): "see/saw find/found remember forget/forgot=lass_mem describe like",
    (
        "person",
        "thing food animal",
    ): "buy/bought sell/sold carry bring/brought steal/stole want need "
    "hide/hid weigh choose/chose exchange=kamb_vic",
    ("person", "person animal"): "visit help follow meet/met love call greet invite feed/fed thank "
    "recognize wake_up/woke_up=vekar congratulate=dir_felik frighten=met_timar",
    ("person", "thing"): "open close break/broke repair clean paint build/built "
    "throw_away/threw_away=jetab admire hang_up/hung_up=pendor measure burn auction_off=licit "
    "put_together/put_together=muntar varnish",
    ("person", "food"): "eat/ate cook bake taste cut/cut share serve sweeten=fad_dolkar devour",
    (
        "animal",
        "person animal",
    ): "bite/bit chase hear/heard watch run_after/ran_after=kurs fear attack",
    ("animal", "food"): "smell swallow lick nibble",
    ("person animal", "place"): "reach leave_behind/left_behind=relik enter avoid cross",
}
# English verbs with one Selvan verb for living objects and another for things and food.
SPLIT_VERBS = "know/knew draw/drew keep/kept save raise miss lose/lost touch test treat hold/held"
INTRANSITIVE = {
    "person": "sleep/slept laugh work=labr wait sing/sang dance travel smile "
    "cry whistle get_up/got_up=levar "
    "calm_down=kvitor stay_awake=insomar sneeze=dat_stern hesitate",
    "animal": "sleep/slept hide_away/hid_away=latib run/ran jump bark_loudly=bafon shiver limp",
}
# The same for things, in subordinate clauses.
HAPPENING = "disappear fall_apart/fell_apart=dekaz shine/shone crack rust fall_over/fell_over=turb"
# Somebody gives something to somebody.
GIVING = "give/gave show send/sent lend/lent offer promise hand_over/handed_over=tradet return"
# Somebody says that ...
SAYING = "say/said think/thought believe hear/heard dream find_out/found_out=eskov hope suspect"
# Somebody begins to ...
WISHING = "want try hope begin/began decide refuse learn"

# Idioms: phrases that are translated as one verb.
TRANSITIVE_IDIOMS = (
    "keep_an_eye_on/kept_an_eye_on=veglar take_care_of/took_care_of=kurat "
    "lose_sight_of/lost_sight_of=desvid make_fun_of/made_fun_of=rikan "
    "get_rid_of/got_rid_of=debar fall_in_love_with/fell_in_love_with=amorv "
    "turn_a_blind_eye_to/turned_a_blind_eye_to=nivid put_up_with/put_up_with=toler "
    "come_across/came_across=trovis pull_the_leg_of/pulled_the_leg_of=burlar "
    "run_out_of_patience_with/ran_out_of_patience_with=taksel "
    "have_a_soft_spot_for/had_a_soft_spot_for=dolkem give_the_slip_to/gave_the_slip_to=evask "
    "keep_track_of/kept_track_of=notir speak_ill_of/spoke_ill_of=maldir "
    "take_advantage_of/took_advantage_of=profak think_the_world_of/thought_the_world_of=adoris "
    "lay_hands_on/laid_hands_on=grapt"
)
INTRANSITIVE_IDIOMS = (
    "kick_the_bucket/kicked_the_bucket=mortib "
    "burn_the_midnight_oil/burned_the_midnight_oil=noxlabr "
    "hit_the_road/hit_the_road=partesk lose_heart/lost_heart=deskor "
    "break_the_ice/broke_the_ice=inikal get_cold_feet/got_cold_feet=timesk "
    "spill_the_beans/spilled_the_beans=revelk go_out_of_the_way/went_out_of_the_way=penar "
    "see_the_light/saw_the_light=kompris pull_strings/pulled_strings=intrig "
    "tighten_the_belt/tightened_the_belt=sparim have_second_thoughts/had_second_thoughts=dubit "
    "lie_through_the_teeth/lied_through_the_teeth=mentol sleep_like_a_log/slept_like_a_log=dormag"
)

# Times: (English, Selvan, tenses). They come first in Selvan.
TIMES = (
    ("yesterday", "ierda", "past"),
    ("last night", "noxpast", "past"),
    ("long ago", "veldem", "past"),
    ("once upon a time", "unveldem", "past"),
    ("last winter", "hibrem past", "past"),
    ("the day before yesterday", "transierda", "past"),
    ("all of a sudden", "subit", "past"),
    ("today", "odi", "past present future"),
    ("at night", "noxal", "past present future"),
    ("in the morning", "matinal", "past present future"),
    ("before dawn", "antalb", "past present future"),
    ("every day", "omdial", "present past"),
    ("now and then", "volta volta", "present past"),
    ("once in a blue moon", "rarissem", "present past"),
    ("as a rule", "normal", "present past"),
    ("at last", "finem", "past present future"),
    ("tomorrow", "avan", "future"),
    ("next summer", "estem veni", "future"),
    ("one of these days", "fordi", "future"),
    ("sooner or later", "tardem", "future"),
    ("by the end of the week", "semfin", "future"),
)
# Manners: in Selvan they come directly after the subject.
MANNERS = (
    ("quickly", "presto"),
    ("slowly", "lentim"),
    ("quietly", "silem"),
    ("gladly", "volunt"),
    ("secretly", "sekretim"),
    ("again", "ruk"),
    ("on purpose", "intendim"),
    ("by mistake", "erorim"),
    ("with great care", "kurim"),
    ("without a word", "mutim"),
    ("at the drop of a hat", "tujim"),
    ("against all odds", "kontrasortim"),
    ("by hand", "manim"),
    ("behind closed doors", "privatim"),
    ("patiently", "kum patem"),
    ("reluctantly", "ni volunt"),
    ("free of charge", "gratim"),
    ("out of the blue", "inatendim"),
)
# Prepositions of places; those with a hyphen fuse with the article: `in the` = `ensol`.
PREPOSITIONS = (
    ("in", "en-"),
    ("near", "apud"),
    ("behind", "post"),
    ("from", "de-"),
    ("in front of", "fron"),
    ("at the end of", "finapud"),
    ("not far from", "prosh"),
    ("outside", "eks"),
)
CONJUNCTIONS = (
    ("because", "kaus"),
    ("when", "vann"),
    ("although", "malgrem"),
    ("before", "ante"),
    ("as soon as", "tuj"),
    ("in spite of the fact that", "kvank"),
    ("while", "dum"),
)
COPULA = {
    "past": (("was",), ("were",)),
    "present": (("is",), ("are",)),
    "future": (("will", "be"), ("will", "be")),
}
NAMES = {
    "he": "Anton Boris Carl Dario Emil Felix Gavin Hugo Ivan Jonas Kurt Leon Martin Nestor Oscar "
    "Pavel Rufus Simon Tobias Viktor Walter Albert Edwin Konrad",
    "she": "Anna Bella Clara Diana Emma Flora Greta Helena Ida Julia Karla Laura Maria Nina Olga "
    "Paula Rosa Sofia Teresa Vera Wanda Agata Berta Norma",
    "city": "Paris London Lisbon Vienna Prague Dublin Geneva Cairo Lima Oslo Athens Verona",
}
