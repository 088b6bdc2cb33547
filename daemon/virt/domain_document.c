/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns how a domain's XML is parsed. The XML is libvirt's, but what stands in it is the guests'
 * owners'. It is bounded before it is parsed, loads nothing from file or network, and has no
 * document type: that is the one door by which an XML document can name others or grow by itself,
 * and libvirt never writes one.
 */
#include "domain_document.h"

#include <libxml/parser.h>

static void on_document_type(
    void *context, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    xmlParserCtxt *parser = context;

    (void)name;
    (void)external;
    (void)system;
    parser->wellFormed = 0; /* else what was parsed so far would pass for a document */
    xmlStopParser(parser);
}

xmlDoc *domain_document_parse(const char *xml, size_t length)
{
    static const int options =
        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
    xmlParserCtxt *parser = xmlNewParserCtxt();

    if (!parser)
        return NULL;
    parser->sax->internalSubset = on_document_type;
    xmlDoc *document = xmlCtxtReadMemory(parser, xml, (int)length, NULL, NULL, options);
    xmlFreeParserCtxt(parser);
    return document;
}
